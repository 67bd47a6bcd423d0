"""Errors a user can act on. Each message names the file, row or field, what came, what was needed, and the fix."""


class RollcallError(Exception):
    """Base of every error that Rollcall raises on purpose; jobs print its message without a stack trace."""


class InputError(RollcallError):
    """A file, table, list or manifest given by the user cannot be used."""


class ConfigError(RollcallError):
    """A configuration key or value is unknown or out of range."""


class ModelError(RollcallError):
    """A model directory, tokenizer or language model is missing, corrupt, or does not fit its partner."""


class StorageError(RollcallError):
    """A path cannot be read or written."""


class RowError(RollcallError):
    """One row cannot be processed. The row is kept and this message becomes its ``error`` field."""
