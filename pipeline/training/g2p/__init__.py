"""The grapheme-to-phoneme model: graphones and their n-gram."""
