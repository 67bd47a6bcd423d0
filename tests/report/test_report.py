"""The HTML report: self-contained, escaped, complete, and small."""

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import schemas
from pipeline.errors import InputError
from pipeline.markup.html import Html, tag
from pipeline.report import Attended, ExampleSource, ReportInput, build_report, read_attention
from pipeline.report.aligned import Cell, columns_of
from pipeline.report.attention_section import attention_plots
from pipeline.report.utterances_section import choose
from pipeline.scoring.inputs import ScoringSet
from pipeline.scoring.mistakes import Confusion, confusions, mistakes_of
from pipeline.scoring.score import Lists, Reference, Written, score
from tests.support.reports import ENTITIES, HOSTILE, Structure, full_report, scored
from tests.support.shared_data import SHARED, needs_shared_data


@pytest.fixture(scope="module")
def structure() -> Structure:
    return Structure(build_report(full_report()))


def test_names_full_of_html_stay_text(structure: Structure) -> None:
    assert structure.tags.count("script") == 1
    assert not {"img", "iframe", "object", "link"} & set(structure.tags)
    assert not [name for name, _ in structure.attributes if name.startswith("on")]
    assert HOSTILE in structure.text
    assert any('"><b>city' in text for text in structure.text)
    assert structure.open == []


def test_nothing_is_loaded_from_elsewhere(structure: Structure) -> None:
    assert not [value for name, value in structure.attributes if name in ("src", "href", "action", "srcset")]
    style = next(text for text in structure.text if "color-scheme" in text or "--bg" in text)
    assert "url(" not in style
    assert "@import" not in style


def test_the_policy_allows_exactly_the_reports_own_script(structure: Structure) -> None:
    policy = next(value for name, value in structure.attributes if value and "script-src" in value)
    assert policy is not None
    assert re.search(r"default-src 'none'; script-src 'sha256-[\w+/=]+';", policy)


def test_what_happened_is_said(structure: Structure) -> None:
    text = " ".join(structure.text)
    for expected in (
        "3 utterances",
        "WER",
        "Entity F1",
        "leads",
        "baseline",
        "Confusions",
        "By tag",
        "By kind",
        "By speaker",
    ):
        assert expected in text
    for expected in ("Ablation", "By size of the list", "Precision and recall over the boost weight"):
        assert expected in text


def test_parts_appear_only_with_their_data() -> None:
    text = " ".join(Structure(build_report(ReportInput(scored()))).text)
    for absent in ("Ablation", "By size", "over the boost weight", "Baseline", "Confusions", "audio of"):
        assert absent not in text


def test_every_reference_of_an_id_exists_once(structure: Structure) -> None:
    ids = [value for name, value in structure.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    pointed = {value for name, value in structure.attributes if name in ("aria-controls", "aria-labelledby", "for")}
    assert pointed <= set(ids)


def test_without_entities_without_errors_and_without_utterances_it_is_still_a_report() -> None:
    for result in (scored(), score([], {}), score([Reference("a", "")], {"a": Written("", error="silent")})):
        assert Structure(build_report(ReportInput(result))).open == []


def test_columns_of_two_systems_line_up() -> None:
    before = scored(a="from leeds um to new work").utterances[0]
    after = scored(a="leeds to new york").utterances[0]
    columns = columns_of([before, after])
    assert [column[0].text for column in columns] == ["from", "leeds", "", "to", "new", "york"]
    assert [column[1].mark for column in columns] == ["", "", "I", "", "", "S"]
    assert columns[0][2] == Cell("", "D")
    assert columns[1][2] == Cell("leeds", "", entity=True)
    assert columns[2][2] == Cell()


def test_mistakes_are_shown_before_finds_and_gains_before_other_finds() -> None:
    result, baseline = scored(c="good leeds day"), scored(a="from leeds to new work")
    mistakes = {"leeds": [one for one in mistakes_of(result) if one.entity == "leeds"]}
    chosen = choose(result, baseline, mistakes)
    assert {name: [one.utterance_id for one in shown] for name, shown in chosen.by_entity.items()} == {
        "leeds": ["c"],  # the false insertion
        "new york": ["a"],  # found here, not by the baseline
    }
    assert [one.utterance_id for one in chosen.worst] == ["c"]
    assert chosen.ids == ["c", "a"]


def test_confusions_are_counted_most_frequent_first() -> None:
    result = scored(a="from leads to new york", b="leads again", c="good leeds day")
    assert confusions(mistakes_of(result)) == [
        Confusion("missed", "leeds", "leads", 2),
        Confusion("inserted", "", "leeds", 1),
    ]


def test_markup_escapes_text_and_attributes_but_not_markup() -> None:
    made = tag("a", "<b>", tag("i", "&"), None, [1, Html("<hr>")], title='"<', class_="x", hidden=True, id=None)
    assert made == '<a title="&quot;&lt;" class="x" hidden>&lt;b&gt;<i>&amp;</i>1<hr></a>'


@needs_shared_data
def test_the_report_of_the_dev_set_is_small(dev_set: ScoringSet) -> None:
    folder = SHARED / "is21_deep_bias"
    result = dev_set.score(str(folder / "hyp.b1.rnnt_baseline.dev.tsv"))
    baseline = dev_set.score(str(folder / "hyp.s5.s3+db-nnlm.biasing_100.dev.tsv"))
    document = build_report(ReportInput(result, baseline))
    assert len(document.encode()) < 1_000_000
    assert Structure(document).open == []


def test_attention_is_drawn_where_it_is_and_told_in_words() -> None:
    plot = str(attention_plots([Attended("u1", 0.04, ["leeds", "york"], [[0.0, 0.9, 0.01], [0.5, 0.0, 0.0]])]))
    assert plot.count('class="heat"') == 2
    assert 'fill-opacity="0.9"' in plot
    assert 'aria-label="leeds at most 0.90, at 0.04 s; york at most 0.50, at 0.00 s"' in plot
    assert "no entity to attend to" in str(attention_plots([Attended("u1", 0.04, [], [])]))
    assert attention_plots([]) is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1: needed is an object with utterance_id"),
        ('{"utterance_id": "a", "frame_seconds": 0.04, "entities": ["x"], "weights": []}', "as many rows"),
        ('{"utterance_id": "a", "frame_seconds": 0, "entities": [], "weights": []}', "must be above 0"),
    ],
)
def test_broken_attention_is_refused(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "a.jsonl").write_text(line)
    with pytest.raises(InputError, match=message):
        read_attention(str(tmp_path / "a.jsonl"))


def test_it_stays_below_its_limit_whatever_the_sound_and_the_texts_weigh(tmp_path: Path) -> None:
    """300 utterances of 300 words each, every one wrong, and a clip of 40 kB each."""
    names = [f"u{at:03}" for at in range(300)]
    references = [Reference(name, "one leeds " + "two " * 298, 60.0) for name in names]
    result = score(references, {name: Written("one leads " + "to " * 98) for name in names}, Lists(lambda _: ENTITIES))
    clip = b"OggS" + bytes(40_000)
    rows = [{"utterance_id": name, "audio": {"bytes": clip, "path": None}} for name in names]
    pq.write_table(pa.Table.from_pylist(rows, schema=schemas.AUDIO), tmp_path / "a.parquet")
    examples = ExampleSource(audio=str(tmp_path / "a.parquet"))
    document = build_report(ReportInput(result, examples=examples))
    assert 2_000_000 < len(document.encode()) <= 5_000_000
    assert "data:audio/ogg" in document


def test_the_style_has_a_dark_and_a_print_side() -> None:
    style = (Path(__file__).resolve().parents[2] / "pipeline/markup/style.css").read_text()
    assert "prefers-color-scheme:dark" in style
    assert "@media print" in style
