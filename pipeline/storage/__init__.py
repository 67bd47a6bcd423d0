"""Where data lie: local paths and ``s3://`` behind one small interface (location.py)."""

from pipeline.storage.location import (
    Location,
    attempt,
    check_readable,
    check_writable,
    exists,
    is_parquet,
    list_parquet,
    open_filesystem,
    open_seekable,
    publish,
    read_bytes,
    read_table,
    remove,
    walk_files,
    walk_parquet,
    write_atomic,
)

__all__ = [
    "Location",
    "attempt",
    "check_readable",
    "check_writable",
    "exists",
    "is_parquet",
    "list_parquet",
    "open_filesystem",
    "open_seekable",
    "publish",
    "read_bytes",
    "read_table",
    "remove",
    "walk_files",
    "walk_parquet",
    "write_atomic",
]
