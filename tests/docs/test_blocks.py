"""Every code block of README and docs runs, in order, page by page."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.doc_blocks import LANGUAGES, SHOWN, Block, blocks_of
from tests.support.doc_sandbox import ROOT, BlockError, Sandbox, sandbox
from tests.support.workers import RAY

pytestmark = RAY


def pages_of(nav: Any) -> Iterator[str]:
    """Yield the pages of mkdocs' menu in their order, which is the order in which they are read and run."""
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, dict):
        yield from (page for part in nav.values() for page in pages_of(part))
    else:
        yield from (page for part in nav for page in pages_of(part))


NAV = [ROOT / "docs" / page for page in pages_of(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])]
PAGES = [ROOT / "README.md", *NAV]
BLOCKS = [block for page in PAGES for block in blocks_of(page, ROOT)]
CODE = [block for block in BLOCKS if block.language not in SHOWN or block.title]
JOB = re.compile(r"\brollcall |-m jobs\.")
REAL = {block.page: block for block in reversed(CODE) if block.language == "python" or JOB.search(block.code)}
"""The first block of each page that starts Python: in processes of its own, the others in a preloaded one."""
ON_A_CLUSTER = "docs/clusters.md"
"""The page whose reader has set RAY_ADDRESS."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with sandbox(tmp_path_factory.mktemp("docs") / "sandbox") as made:
        yield made


def test_there_are_blocks_and_each_says_what_it_is() -> None:
    assert len(CODE) >= 5
    assert [block.name for block in BLOCKS if block.language not in LANGUAGES] == []


@pytest.mark.parametrize("block", CODE, ids=lambda block: block.name)
def test_it_runs(block: Block, place: Sandbox) -> None:
    if block.title is not None:
        (place.folder / block.title).write_text(block.code, encoding="utf-8")
    if block.language in ("sh", "python"):
        run = place.shell if block.language == "sh" else place.python
        run(block.code, real=block is REAL.get(block.page), cluster=block.page == ON_A_CLUSTER)
    elif block.language == "yaml":
        assert yaml.safe_load(block.code) is not None
    elif block.language == "json":
        assert json.loads(block.code) is not None
    else:
        assert block.title is not None, "a block of this language is tested by the blocks that use its file"


@pytest.mark.parametrize("real", [False, True])
def test_a_block_that_fails_is_found(place: Sandbox, real: bool) -> None:
    with pytest.raises(BlockError, match="exit code 3"):
        place.shell("true\n(exit 3)\ntrue\n", real)
    with pytest.raises(BlockError, match="No such file"):
        place.python("open('nothing')", real)
    with pytest.raises(BlockError, match=r"exit code 2 [\s\S]* does not exist"):
        place.shell("rollcall score --hypotheses none --reference none --output scores_of_none", real)


@pytest.mark.parametrize("real", [False, True])
def test_a_block_sees_its_folder_its_variables_and_its_input(place: Sandbox, real: bool) -> None:
    code = "import os, sys; print(os.getcwd(), os.environ['A'], sys.argv[1:], sys.stdin.read()); sys.exit(5 - 5)"
    said = place.shell(f'export A=b\necho c | .venv/bin/python -c "{code}" d "e f" | cat', real)
    assert said == f"{place.folder} b ['d', 'e f'] c\n\n"


def test_blocks_are_read_with_language_title_and_without_indent(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text('x\n```sh\nls\n```\n- y\n\n  ```yaml title="r.yaml"\n  a: 1\n  ```\n```\nout\n```\n')
    found = [(one.line, one.language, one.title, one.code) for one in blocks_of(tmp_path / "a.md", tmp_path)]
    assert found == [(2, "sh", None, "ls\n"), (7, "yaml", "r.yaml", "a: 1\n"), (10, "", None, "out\n")]
