"""Compiled functions whose cache cannot be stale.

numba keeps compiled code on disk and checks only the file that a function stands in: a change in a function that it
calls, in another file, or in the options of the compiler goes unnoticed. So the cache folder is named by the content
of this file and of all files below this package that have compiled functions.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

_CONFIG: Any = numba.config


def _cache_folder() -> str:
    """Folder beside the sources, or numba's own choice ("") where that is set already or not writable."""
    here = Path(__file__).resolve().parent
    if _CONFIG.CACHE_DIR or not os.access(here, os.W_OK):
        return str(_CONFIG.CACHE_DIR)
    sources = (path.read_bytes() for path in sorted(here.rglob("*.py")))
    compiled = [source for source in sources if b"kernel\ndef " in source]
    digest = hashlib.sha256(b"".join([Path(__file__).read_bytes(), *compiled]))
    return str(here / "__pycache__" / f"kernels-{digest.hexdigest()[:12]}")


_FOLDER = _cache_folder()


def kernel(function: Callable[..., Any]) -> Any:
    """Compile ``function``, which makes no array, on its first call and cache it on disk for workers to load.

    Without numba's memory manager no references are counted. Its counters are atomic, one for every array of every
    tuple that a function is handed, and they took a third of the search's time (benchmarks/results/decoding.md).
    numba refuses a function that makes an array all the same.
    """
    return _compile(function, _nrt=False)


def array_kernel(function: Callable[..., Any]) -> Any:
    """As ``kernel`` for functions that make arrays; they belong outside the inner loops."""
    return _compile(function)


def _compile(function: Callable[..., Any], **options: Any) -> Any:
    before = _CONFIG.CACHE_DIR
    _CONFIG.CACHE_DIR = _FOLDER
    try:
        return numba.njit(cache=True, **options)(function)
    finally:
        _CONFIG.CACHE_DIR = before
