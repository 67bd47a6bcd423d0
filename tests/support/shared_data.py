"""Where the real speech lies, and the skip mark for tests that need it."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("ROLLCALL_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "data"
needs_shared_data = pytest.mark.skipif(
    not SHARED.is_dir(), reason=f"real speech not found at {SHARED}; set ROLLCALL_SHARED to the folder above data/"
)
