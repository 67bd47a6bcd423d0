"""Ray actors: load in __init__, Arrow table in, Arrow table out."""
