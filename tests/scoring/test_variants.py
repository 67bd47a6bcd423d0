"""Ablations, list sizes and boost weights: other runs on the same references."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import InputError
from pipeline.scoring.inputs import ScoringSet, load_scoring_set
from pipeline.scoring.output import all_metrics
from pipeline.scoring.variants import read_variants


@pytest.fixture
def corpus(tmp_path: Path) -> ScoringSet:
    (tmp_path / "r.tsv").write_text("a\tto leeds\n")
    (tmp_path / "h.tsv").write_text("a\tto york\n")
    (tmp_path / "short.txt").write_text("leeds\n")
    (tmp_path / "long.txt").write_text("leeds\nyork\n")
    return load_scoring_set(str(tmp_path / "r.tsv"), str(tmp_path / "short.txt"))


def write(folder: Path, content: Any) -> str:
    path = folder / "variants.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_variants_are_scored_with_their_own_lists_where_they_have_them(tmp_path: Path, corpus: ScoringSet) -> None:
    transcripts = str(tmp_path / "h.tsv")
    path = write(
        tmp_path,
        [
            {"kind": "ablation", "name": "without boost", "transcripts": transcripts},
            {"kind": "list_size", "value": 2, "transcripts": transcripts, "lists": str(tmp_path / "long.txt")},
        ],
    )
    ablation, size = read_variants(path, corpus)
    assert (ablation.name, ablation.value, ablation.result.entity_counts()["false_positives"]) == (
        "without boost",
        None,
        0,
    )
    assert (size.name, size.value, size.result.entity_counts()["false_positives"]) == ("2", 2.0, 1)
    metrics = all_metrics(ablation.result, None, [size])
    assert metrics["variants"][0]["entity"]["false_positives"] == 1
    assert "by_entity" not in metrics["variants"][0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "is not JSON"),
        ({"kind": "ablation"}, "needed is a JSON list of variants, got dict"),
        ([{"kind": "ablation", "name": "x"}], "variant 1 must be an object with 'transcripts'"),
        (
            [{"kind": "tuning", "transcripts": "h.tsv"}],
            "kind must be ablation, list_size or boost_weight, got 'tuning'",
        ),
        (
            [{"kind": "list_size", "transcripts": "h.tsv", "value": "5"}],
            "a list_size needs a number as its value, got '5'",
        ),
        ([{"kind": "ablation", "transcripts": "h.tsv"}], "an ablation needs a name"),
        ([{"kind": "ablation", "transcripts": "h.tsv", "nam": 1}], "no keys but"),
    ],
)
def test_bad_variants_are_refused_with_what_was_needed(
    tmp_path: Path, corpus: ScoringSet, content: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_variants(write(tmp_path, content), corpus)
