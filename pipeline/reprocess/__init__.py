"""What a change of the entity lists does to a finished run: which rows, what changed in them, may it be published."""
