"""Trials as people and files get them: rates by data set, sections of a configuration, a table."""

from collections.abc import Sequence

from pipeline.tuning.evaluation import Evaluation
from pipeline.tuning.tuning import Trial, Values


def trial_scores(trial: Trial) -> dict[str, float]:
    """Return the rates of a trial by data set, as trials.jsonl has them."""
    names = ("wer", "u_wer", "f1", "precision", "recall", "false_accepts_per_hour")
    scores = {f"{at}.{name}": one.rate(name) for at, one in enumerate(trial.evaluations) for name in names}
    if trial.distracted is not None:
        scores |= {f"guard.{name}": trial.distracted.rate(name) for name in ("wer", "false_accepts_per_hour")}
    return scores


def nested(values: Values) -> dict[str, dict[str, float]]:
    """Return values by section and name, as a configuration file has them."""
    sections: dict[str, dict[str, float]] = {}
    for key, value in values.items():
        section, name = key.split(".")
        sections.setdefault(section, {})[name] = value
    return sections


_RATES = {"f1": "F1", "u_wer": "U-WER %", "wer": "WER %"}


def trial_table(rows: Sequence[tuple[Trial, Trial]], lists: bool = True) -> str:
    """Markdown: one row per trial, the search as it is without a list first; tuning / confirming half in every cell.

    ``lists``: whether the trials have any, and so more than a WER.
    """
    sets, rates = range(len(rows[0][0].evaluations)), _RATES if lists else {"wer": _RATES["wer"]}
    heads = [f"{name} {at}" for at in sets for name in rates.values()]
    heads += ["guard WER %", "guard false accepts/h"] if rows[0][0].distracted is not None else []
    lines = ["| trial | " + " | ".join(heads) + " | values |", "|---" * (len(heads) + 2) + "|"]
    for number, pair in enumerate(rows):
        cells = [_cell([trial.evaluations[at] for trial in pair], name) for at in sets for name in rates]
        guards = [trial.distracted for trial in pair if trial.distracted is not None]
        cells += [_cell(guards, name) for name in ("wer", "false_accepts_per_hour")] if guards else []
        values = " ".join(f"{key}={value:g}" for key, value in pair[0].values.items())
        lines.append(f"| {number or ('unbiased' if lists else 'as it is')} | " + " | ".join(cells) + f" | {values} |")
    return "\n".join(["Each cell: tuning half / confirming half of the speakers.", "", *lines, ""])


def _cell(pair: Sequence[Evaluation], name: str) -> str:
    shown = {"f1": "{:.3f}", "false_accepts_per_hour": "{:.0f}"}.get(name, "{:.2f}")
    scale = 100.0 if "wer" in name else 1.0
    return " / ".join(shown.format(scale * one.rate(name)) for one in pair)
