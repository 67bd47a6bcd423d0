"""Encoded audio bytes to samples: decoding, integrity, cutting at silences."""
