"""AUDIO -> EMISSIONS -> TRANSCRIPTS: encode, adapt, transcribe, and the one class that assembles them."""
