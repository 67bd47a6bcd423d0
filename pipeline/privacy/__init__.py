"""Texts that may leave the house: names replaced, every other word drawn by a mechanism. Begin with release.py."""
