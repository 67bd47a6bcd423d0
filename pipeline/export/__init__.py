"""A run's transcripts in the formats that other tools read. Begin with formats.py."""
