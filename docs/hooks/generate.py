"""What the documentation makes of the code when it is built: figures, tables of fields, and the benchmark results.

A page asks with a line ``<!-- generate: NAME -->`` for what GENERATORS has under that name. Figures are SVG that take
their colours from the page, so that they read in light and dark, and their numbers from the configuration's defaults
and from benchmarks/results, so that they cannot go out of date.
"""

import argparse
import ast
import html
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from jobs.cli.commands import commands as command_modules  # noqa: E402
from jobs.cli.completion import parsers  # noqa: E402
from pipeline.config import BoostingConfig  # noqa: E402
from pipeline.markup.html import Html, tag  # noqa: E402

_CHOICES = 7  # values of an option that are written out
_REQUEST = re.compile(r"^<!-- generate: (\S+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Called by mkdocs for every page."""
    return _REQUEST.sub(lambda found: GENERATORS[found[1]](), markdown)


def _figure(drawing: Html | list[Html], caption: str) -> str:
    return tag("figure", drawing, tag("figcaption", caption), class_="drawn")


_BOXES = (
    ("audio", ("parquet", "shards"), False),
    ("encode", ("subword and", "phone CTC"), False),
    ("shortlist", ("what is", "plausible"), True),
    ("search", ("beam, LM,", "boosts"), True),
    ("rescoring", ("phones,", "guard"), True),
    ("transcripts", ("with", "reasons"), False),
)


def pipeline_figure() -> str:
    """The stages, those that see the entity list coloured: in a row, and for narrow screens one below the other."""
    label = " then ".join(f"{name} ({' '.join(about)})" for name, about, _ in _BOXES)
    drawings = [_in_a_row(label), _in_a_column(label)]
    return _figure(drawings, "The stages of a run. Coloured: those that see the entity list.")


def _in_a_row(label: str) -> Html:
    marks, width, gap = [], 98, 20
    for at, (name, about, biased) in enumerate(_BOXES):
        x = at * (width + gap)
        marks.append(tag("rect", x=x + 1, y=1, width=width, height=74, rx=6, class_="box biased" if biased else "box"))
        marks.append(tag("text", name, x=x + width / 2, y=25, class_="middle strong"))
        for line, text in enumerate(about):
            marks.append(tag("text", text, x=x + width / 2, y=45 + 15 * line, class_="middle small"))
        if at:
            marks.append(tag("path", d=f"M{x - gap + 4} 38h{gap - 8}m-5 -5l5 5l-5 5", class_="arrow"))
    total = len(_BOXES) * (width + gap) - gap + 2
    return tag("svg", marks, viewBox=f"0 0 {total} 76", role="img", aria_label=label, class_="wide")


def _in_a_column(label: str) -> Html:
    marks, height, gap = [], 46, 22
    for at, (name, about, biased) in enumerate(_BOXES):
        y = at * (height + gap)
        kind = "box biased" if biased else "box"
        marks.append(tag("rect", x=1, y=y + 1, width=298, height=height, rx=6, class_=kind))
        marks.append(tag("text", name, x=16, y=y + 29, class_="strong"))
        marks.append(tag("text", " ".join(about), x=284, y=y + 29, class_="end small"))
        if at:
            marks.append(tag("path", d=f"M150 {y - gap + 5}v{gap - 8}m-5 -5l5 5l5 -5", class_="arrow"))
    total = len(_BOXES) * (height + gap) - gap + 2
    return tag("svg", marks, viewBox=f"0 0 300 {total}", role="img", aria_label=label, class_="narrow")


_HEADLINE = (
    ("is21-100", "rare words, lists of 100"),
    ("is21-1000", "rare words, lists of 1,000"),
    ("names_dev", "names, cities, medicines"),
)


def headline_figure() -> str:
    """Entity F1 and WER without and with the list, from the tables of benchmarks/results/joint.md."""
    panels = [_panel("Entity F1 %", "F1 %", "higher is better"), _panel("WER %", "WER %", "lower is better")]
    about = (
        "Without the list (beam search and language model; grey) and with it (coloured). The first two sets are "
        "recorded speech, the third is synthetic; from benchmarks/results/joint.md."
    )
    return _figure([tag("div", panels, class_="panels")], about)


def _panel(title: str, column: str, better: str) -> Html:
    """One rate of all sets: a pair of bars each, of the search without the list and of the joint."""
    heading = tag("text", title, tag("tspan", f"  {better}", class_="small plain"), x=0, y=15, class_="strong")
    marks, labels = [heading], []
    pairs = []
    for name, about in _HEADLINE:
        rows = {row["system"]: _number(row[column]) for row in _table_rows("joint.md", "system", f"joint-{name}")}
        pairs.append((about, rows["beam + LM"], rows["joint"]))
    most = max(value for _, *values in pairs for value in values)
    for at, (about, plain, listed) in enumerate(pairs):
        top = 30 + at * 70
        marks.append(tag("text", about, x=0, y=top + 12, class_="small"))
        for value, y, kind in ((plain, top + 18, "bar"), (listed, top + 38, "bar biased")):
            width = round(250 * value / most, 1)
            marks.append(tag("rect", x=0, y=y, width=width, height=18, class_=kind))
            marks.append(tag("text", f"{value:.1f}", x=width + 6, y=y + 14, class_="small"))
        labels.append(f"{about}: {plain:.1f} without the list, {listed:.1f} with it")
    box = f"0 0 300 {30 + 70 * len(pairs)}"
    return tag("svg", marks, viewBox=box, role="img", aria_label=f"{title}, {better}. {'; '.join(labels)}")


def boost_figure() -> str:
    """Boosting: what a token gets back, by how far it is behind the best token of its frame."""
    boost = BoostingConfig()
    gaps = [at / 20 for at in range(0, 241)]
    later = [(gap, min(boost.scale * gap, boost.cap) if gap <= boost.max_gap else 0.0) for gap in gaps]
    first = [
        (gap, min(boost.entry + boost.entry_scale * gap, boost.entry_cap) if gap <= boost.max_gap else 0.0)
        for gap in gaps
    ]
    marks = [*_axes(12, 5, "gap to the frame's best token (nats)", "boost (nats)")]
    for name, points in (("later", later), ("first", first)):
        path = " ".join(f"{_across(x, 12):.1f},{_up(y, 5):.1f}" for x, y in points)
        marks.append(tag("polyline", points=path, class_=f"curve {name}"))
    marks.append(tag("text", "continuing token", x=_across(6, 12), y=_up(4.2, 5), class_="later-text"))
    marks.append(tag("text", "first token", x=_across(6, 12), y=_up(1.15, 5), class_="first-text"))
    label = (
        f"A continuing token gets {boost.scale:g} of its gap, at most {boost.cap:g} nats; a first token at most "
        f"{boost.entry_cap:g}; beyond a gap of {boost.max_gap:g} nothing."
    )
    return _figure(tag("svg", marks, viewBox="0 0 640 300", role="img", aria_label=label), label)


def _across(x: float, top: float) -> float:
    return 50 + x / top * 570


def _up(y: float, top: float) -> float:
    return 250 - y / top * 225


def _axes(right: int, top: int, x_title: str, y_title: str) -> list[Html]:
    marks = [tag("path", d="M50 20V250H620", class_="axis")]
    for x in range(0, right + 1, 2):
        marks.append(tag("text", str(x), x=_across(x, right), y=268, class_="middle small"))
    for y in range(0, top + 1):
        marks.append(tag("text", str(y), x=42, y=_up(y, top) + 4, class_="end small"))
    marks.append(tag("text", x_title, x=335, y=290, class_="middle small"))
    return [*marks, tag("text", y_title, x=8, y=14, class_="small")]


def quality_figure() -> str:
    """Entity F1 and WER of baseline and joint, from benchmarks/results/quality.md."""
    rows = _table_rows("quality.md", "set")
    marks, labels = [], []
    for at, row in enumerate(rows):
        y = 26 + at * 30
        name, f1, wer = f"{row['set']}, {row['preset']}", _number(row["F1 %"]), _number(row["WER %"])
        biased = row["preset"] != "baseline"
        marks.append(tag("text", name, x=168, y=y + 13, class_="end small"))
        for value, left in ((f1, 180), (wer, 460)):
            bar = tag("rect", x=left, y=y, width=value * 2, height=18, class_="bar biased" if biased else "bar")
            marks += [bar, tag("text", f"{value:.1f}", x=left + value * 2 + 6, y=y + 13, class_="small")]
        labels.append(f"{name}: F1 {f1:.1f}%, WER {wer:.1f}%")
    titles = [tag("text", text, x=x, y=14, class_="small strong") for text, x in (("F1 %", 180), ("WER %", 460))]
    box = f"0 0 720 {30 + 30 * len(rows)}"
    drawing = tag("svg", titles, marks, viewBox=box, role="img", aria_label="; ".join(labels))
    return _figure(drawing, "Without and with the list; from benchmarks/results/quality.md.")


def robustness_figure() -> str:
    """WER of test-clean-dev by condition, without and with lists, from benchmarks/results/robustness.md."""
    rows = _table_rows("robustness.md", "set", "robustness-lists")
    rows = [row for row in rows if row["set"] == rows[0]["set"]]
    marks, labels = [], []
    for at, row in enumerate(rows):
        y, rates = 26 + at * 34, [_number(row[f"WER %, {kind}"]) for kind in ("no list", "list")]
        marks.append(tag("text", row["condition"], x=108, y=y + 19, class_="end small"))
        for place, (rate, kind) in enumerate(zip(rates, ("bar", "bar biased"), strict=True)):
            top, width = y + 14 * place, rate * 8
            marks.append(tag("rect", x=120, y=top, width=f"{width:.1f}", height=12, class_=kind))
            marks.append(tag("text", f"{rate:.1f}", x=f"{126 + width:.1f}", y=top + 10, class_="small"))
        labels.append(f"{row['condition']}: {rates[0]:.1f}% without a list, {rates[1]:.1f}% with it")
    title = tag("text", "WER %", x=120, y=14, class_="small strong")
    box = f"0 0 640 {30 + 34 * len(rows)}"
    drawing = tag("svg", title, marks, viewBox=box, role="img", aria_label="; ".join(labels))
    return _figure(
        drawing,
        "Speech that is not clean: word errors without a list and, coloured, with lists of 100; noise at so many dB. "
        "From benchmarks/results/robustness.md.",
    )


def _table_rows(name: str, first: str, block: str = "") -> list[dict[str, str]]:
    """Rows of the first table of a result file, or of a block of it, whose first column is ``first``."""
    text = (ROOT / "benchmarks/results" / name).read_text(encoding="utf-8")
    lines = (text.partition(f"<!-- measured: {block} -->")[2] if block else text).splitlines()
    start = next(at for at, line in enumerate(lines) if re.match(rf"\|\s*{first}\s*\|", line))
    header = _cells(lines[start])
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(dict(zip(header, _cells(line), strict=True)))
    return rows


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _number(cell: str) -> float:
    return float(cell.split()[0])


_FIELD = re.compile(r"^    (\w+): (.+?) = (.+?)(?:  # (.*))?$")


def configuration() -> str:
    """Every configuration class with its fields, their types, defaults and the comments beside them."""
    source = (ROOT / "pipeline/config/config.py").read_text(encoding="utf-8")
    lines, parts = source.splitlines(), []
    for node in ast.parse(source).body:
        if not isinstance(node, ast.ClassDef):
            continue
        parts += [f"## {node.name}", "", _as_markdown(ast.get_docstring(node) or ""), ""]
        parts += ["| field | type | default | what |", "|---|---|---|---|"]
        for line in lines[node.lineno : node.end_lineno]:
            if found := _FIELD.match(line):
                name, kind, default, about = (text or "" for text in found.groups())
                parts.append(f"| `{name}` | `{kind}` | `{default}` | {_in_cell(about)} |")
        parts.append("")
    return "\n".join(parts)


def _in_cell(text: str) -> str:
    return text.replace("|", "&#124;")


def commands() -> str:
    """Every job with its docstring and its options."""
    parts = []
    for name, parser in parsers().items():
        about = ast.get_docstring(ast.parse((ROOT / f"jobs/{command_modules()[name]}.py").read_text("utf-8"))) or ""
        parts += [f"## rollcall {name}", "", _as_markdown(about), "", *_options(parser), ""]
    return "\n".join(parts)


def _options(parser: argparse.ArgumentParser) -> list[str]:
    rows = ["| option | what |", "|---|---|"]
    for action in parser._actions:  # argparse has no public way to list them
        if action.help is argparse.SUPPRESS or isinstance(action, argparse._HelpAction) or action.dest == "json":
            continue
        value = "" if action.nargs == 0 else _value(action)
        name = ", ".join(f"{flag} {value}".strip() for flag in action.option_strings) or value
        about = (action.help or "") % (vars(action) | {"prog": parser.prog})
        required = " (required)" if action.required and action.option_strings else ""
        rows.append(f"| <code>{_in_cell(html.escape(name))}</code> | {_in_cell(html.escape(about))}{required} |")
    return rows if len(rows) > 2 else []


def _value(action: argparse.Action) -> str:
    if action.choices and len(list(action.choices)) < _CHOICES:
        return "|".join(map(str, action.choices))
    named = action.metavar or action.dest.upper().replace("_", "-")
    return named if isinstance(named, str) else " ".join(named)


def _as_markdown(docstring: str) -> str:
    """Indented examples stay code; reST's double backquotes become Markdown's."""
    return docstring.replace("``", "`")


def results() -> str:
    """Every file of benchmarks/results, as it stands."""
    parts = []
    for path in sorted((ROOT / "benchmarks/results").glob("*.md")):
        parts.append(_lowered(path.read_text(encoding="utf-8")))
    return "\n\n".join(parts)


def _lowered(text: str) -> str:
    """Headings one level down; links to files of the repository become their names: they are not in the site."""
    text = re.sub(r"^(#+ )", r"#\1", text, flags=re.MULTILINE)
    return re.sub(r"\[([^\]]+)\]\((?!https?:)[^)]+\)", r"\1", text)


GENERATORS: dict[str, Callable[[], str]] = {
    "pipeline-figure": pipeline_figure,
    "headline-figure": headline_figure,
    "boost-figure": boost_figure,
    "quality-figure": quality_figure,
    "robustness-figure": robustness_figure,
    "configuration": configuration,
    "commands": commands,
    "results": results,
}
