"""Which commands there are: every module of ``jobs/`` that can be run; its docstring is its help."""

import ast
from pathlib import Path

_JOBS = Path(__file__).resolve().parents[1]
_RUNNABLE = '\nif __name__ == "__main__":'


def commands() -> dict[str, str]:
    """Return the name of every job and its module's name, in alphabetical order."""
    runnable = [path for path in sorted(_JOBS.glob("*.py")) if _RUNNABLE in path.read_text(encoding="utf-8")]
    modules = [path for path in runnable if path.stem != "rollcall"]
    return {path.stem.replace("_", "-"): path.stem for path in modules}


def summary(module: str) -> str:
    """Return the first sentence of a job's docstring without importing it, as ``rollcall --help`` shows it."""
    source = (_JOBS / f"{module}.py").read_text(encoding="utf-8")
    first = (ast.get_docstring(ast.parse(source)) or "").partition("\n\n")[0].replace("\n", " ")
    return first.partition(": ``python")[0].partition(": `python")[0].rstrip(".:")
