"""The code blocks of Markdown pages, and how each is run.

```sh                         runs with bash, and fails with its first command that fails
```python                     runs with this Python
```<any> title="names.csv"    is written to that file, for the blocks after it
```yaml, ```json              without a title must parse
```text, ```console, ```      are what a command prints, or a drawing; nothing is run
"""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<code>.*?)^(?P=indent)```[ ]*$", re.MULTILINE | re.DOTALL)
_TITLE = re.compile(r'title="([^"]+)"')
SHOWN = ("", "text", "console")
LANGUAGES = (*SHOWN, "sh", "python", "yaml", "json", "csv", "tsv")


@dataclasses.dataclass(frozen=True)
class Block:
    """One code block. ``title`` is the file it is written to, if it is one."""

    page: str
    line: int
    language: str
    title: str | None
    code: str

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(path: Path, root: Path) -> Iterator[Block]:
    """Yield the blocks of a page in order."""
    text = path.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        info = found["info"].strip()
        title = _TITLE.search(info)
        indent = re.compile(f"^{found['indent']}", re.MULTILINE)
        yield Block(
            page=path.relative_to(root).as_posix(),
            line=text.count("\n", 0, found.start()) + 1,
            language=info.split()[0] if info else "",
            title=title[1] if title else None,
            code=indent.sub("", found["code"]),
        )
