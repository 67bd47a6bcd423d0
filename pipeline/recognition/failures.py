"""What a row that cannot be recognised raises; it becomes the row's ``error``, and the job goes on."""

from pipeline.errors import RowError

FAILURES = (RowError, ValueError, RuntimeError, ArithmeticError, LookupError)
