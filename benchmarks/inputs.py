"""What a measurement depends on, by content: models byte by byte, code without its comments and docstrings."""

import ast
import functools
import hashlib
from pathlib import Path

from pipeline.errors import InputError

_DIGITS = 12


@functools.cache
def digest(path: Path) -> str:
    """Return 12 hex digits for a file, or for all files below a folder; raises InputError where there is nothing.

    Code counts as what it does: other line breaks, comments or docstrings change nothing.
    """
    if not path.exists():
        raise InputError(f"{path}: a step reads it, but it is not there; correct `reads` or `groups` of the steps.")
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if _counts(file))
    whole = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        whole.update(str(file.relative_to(path)).encode() + b"\0")
        whole.update(hashlib.sha256(_meaning(content) if file.suffix == ".py" else content).digest())
    return whole.hexdigest()[:_DIGITS]


def _counts(file: Path) -> bool:
    """Cards say how a model was made and what it reached: they are no part of it."""
    return file.is_file() and "__pycache__" not in file.parts and file.suffix not in (".pyc", ".md")


def _meaning(source: bytes) -> bytes:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and _described(node):
            node.body = node.body[1:]
    return ast.dump(tree).encode()


def _described(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return ast.get_docstring(node, clean=False) is not None
