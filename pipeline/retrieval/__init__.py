"""Which entities of a list are plausible in an utterance."""
