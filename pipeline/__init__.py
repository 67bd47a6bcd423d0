"""Rollcall's science: audio to transcripts that know the names. Pure Python, no Ray."""
