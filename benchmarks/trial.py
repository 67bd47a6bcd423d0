"""Development data cut to a few utterances, so that every step of benchmarks.all can be tried in minutes."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

_ID = "utterance_id"


def cut(data: Path, target: Path, count: int) -> Path:
    """Copy ``data`` to ``target``: ``count`` utterances of each parquet file, spread over it, and their lists."""
    if target.is_dir():
        return target
    making = target.with_name(target.name + ".new")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    kept: set[str] = set()
    for path in sorted(data.glob("*.parquet")):
        table = pq.read_table(path)
        size = table.num_rows
        rows = table.take(
            pa.array(sorted({at * size // count for at in range(count)} if size > count else range(size)))
        )
        kept.update(rows[_ID].to_pylist())
        pq.write_table(rows, making / path.name)
    for path in sorted(
        file for file in data.glob("**/*") if file.is_file() and file.suffix in (".tsv", ".txt", ".json")
    ):
        copy = making / path.relative_to(data)
        if copy.parent.parts[len(making.parts) :] not in ((), ("is21_deep_bias",)):
            continue
        copy.parent.mkdir(exist_ok=True)
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines(keepends=True)
        mine = [line for line in lines if line.partition("\t")[0] in kept]
        copy.write_text("".join(mine) if mine else text, encoding="utf-8")
    making.replace(target)
    return target
