"""Which calibration belongs to a run: found, checked and put into its configuration before any model is loaded.

A calibration is a directory that ``jobs.calibrate`` wrote, of JSON files and a card:

    calibration.json   format; hashes of the model, of the model whose phones were heard and of the language model that
                       it was fitted with; values of the configuration; what was measured; hashes of the other files
    confusions.json    how the model spells by ear (pipeline.lexicon.confusions)
    guard.json         the guard's trees and bounds (pipeline.rescoring.guard)
    cut.json           weights of the log odds that large lists are ranked by (pipeline.retrieval.ranked)
    CARD.md            for people

What ``jobs.learn`` learns of them from reviews is one too: with the rest as it was in the run's.

Its values take the place of the preset's, so that what a user sets himself is put over them.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.acoustic.companion_files import settled
from pipeline.config import AUTO, LETTERS, AcousticConfig, GuardConfig, RunConfig, override
from pipeline.config.config_file import with_file
from pipeline.config.fingerprint import content_hash, model_fingerprint, phones_fingerprint
from pipeline.errors import ConfigError, ModelError

FORMAT = "rollcall-calibration-1"
CONFIG, CARD = "calibration.json", "CARD.md"
BESIDE = "_calibration"
"""Ending of the directory beside a model's that holds its calibration."""
CUT, GUARD = "cut.json", "guard.json"
FILES = {"confusions.json": ("g2g", "confusions"), GUARD: ("guard", "weights"), CUT: ("cut", "weights")}
"""Files of a calibration, each with the part and key of the configuration that names it."""
_BELIEVING = (CUT, GUARD)
"""Those that change which entities are proposed and believed, and nothing of what is written without a list."""


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What ``calibration.json`` holds.

    model, phones, language_model: hashes of what it was fitted with; None where there was none
    values:   of the configuration, by part and key
    files:    hashes of those of FILES that are there
    measured: what ``jobs.calibrate`` measured, for people
    """

    model: str
    phones: str | None
    language_model: str | None
    values: Mapping[str, Mapping[str, float]]
    files: Mapping[str, str]
    measured: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return what ``read_calibration`` reads."""
        return {"format": FORMAT, **dataclasses.asdict(self)}


def read_calibration(folder: Path) -> Calibration:
    """Return the calibration of a directory; raises ModelError if it is none, or a file is missing or was changed."""
    try:
        content = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if content.pop("format") != FORMAT:
            raise ValueError(f"needed is the format '{FORMAT}'")
        found = Calibration(**content)
        if unknown := sorted(set(found.files) - set(FILES)):
            raise ValueError(f"unknown files {unknown}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{folder}: is no calibration ({error}); `rollcall calibrate` writes one.") from error
    changed = [name for name, known in found.files.items() if content_hash(str(folder / name)) != known]
    if changed:
        raise ModelError(f"{folder}: {', '.join(changed)} changed since the calibration was written; calibrate again.")
    return found


def calibration_folder(acoustic: AcousticConfig) -> Path | None:
    """Return the calibration that ``acoustic`` names, by default the one beside the model; None if there is none."""
    if acoustic.calibration is None:
        return None
    if acoustic.calibration != AUTO:
        return Path(acoustic.calibration)
    beside = Path(acoustic.model.rstrip("/") + BESIDE)
    return beside if Path(acoustic.model).is_dir() and (beside / CONFIG).is_file() else None


def configured(preset: RunConfig, file: str | None = None, acoustic: Mapping[str, Any] | None = None) -> RunConfig:
    """Return ``preset`` with the model's calibration, then the YAML ``file``, then values of ``acoustic`` put over it.

    A guard that judges a model which it was not fitted on is ``cautious``, and with another model than ours it
    ``doubts``.
    Raises ConfigError for a calibration of another model, and as ``with_file`` and ``override`` do.
    """
    given = {"acoustic": dict(acoustic or {})}
    named = override(with_file(preset, file), given)
    folder = calibration_folder(named.acoustic)
    if folder is not None:
        preset = _calibrated(preset, folder, named)
    config = override(with_file(preset, file), given)
    where = None if folder is None else str(folder)
    config = dataclasses.replace(config, acoustic=dataclasses.replace(config.acoustic, calibration=where))
    return doubting(_cautious(config))


def _calibrated(preset: RunConfig, folder: Path, named: RunConfig) -> RunConfig:
    found = read_calibration(folder)
    _check(folder, found, named)
    values: dict[str, dict[str, Any]] = {part: dict(keys) for part, keys in found.values.items()}
    if found.phones == LETTERS:
        values["acoustic"] = {"phones": LETTERS}  # the guard now judges letters
    for name in found.files:
        part, key = FILES[name]
        values.setdefault(part, {})[key] = _path(folder, name)
    return override(preset, {part: keys for part, keys in values.items() if getattr(preset, part) is not None})


def recalibrated(config: RunConfig, folder: Path | None) -> RunConfig:
    """Return a settled configuration with another calibration, or with none, in place of its own.

    The two may differ in guard and cut alone: raises ConfigError where anything else does, as ``configured`` does too.
    """
    own = config.acoustic.calibration
    before = None if own in (None, AUTO) else Path(str(own))
    old, new = (None if one is None else read_calibration(one) for one in (before, folder))
    if _apart_from_believing(old) != _apart_from_believing(new):
        raise ConfigError(
            f"{folder or before}: {'has' if folder else 'had'} values or a spelling by ear of its own, which change "
            "what is heard as well; transcribe again with --calibration in place of reprocessing."
        )
    changes: dict[str, dict[str, Any]] = {"acoustic": {"calibration": None if folder is None else str(folder)}}
    for name, (part, key) in FILES.items():
        kind = getattr(config, part)
        if kind is None:
            continue
        if old is not None and name in old.files and getattr(kind, key) == _path(before, name):
            changes[part] = {key: getattr(type(kind)(), key)}
        if new is not None and name in new.files:
            changes[part] = {key: _path(folder, name)}
    if new is not None and folder is not None:
        _check(folder, new, config)
    if config.guard is not None:
        changes.setdefault("guard", {})["cautious"] = False
    return _cautious(override(config, changes))


def _path(folder: Path | None, name: str) -> str:
    return str((folder or Path()).joinpath(name).absolute())


def _apart_from_believing(found: Calibration | None) -> tuple[Any, ...]:
    if found is None:
        return {}, {}
    files = {name: known for name, known in found.files.items() if name not in _BELIEVING}
    return {part: dict(keys) for part, keys in found.values.items()}, files


def _check(folder: Path, found: Calibration, named: RunConfig) -> None:
    """Raise ConfigError if the calibration was fitted with something that the run does otherwise."""
    here = fitted_with(dataclasses.replace(named, acoustic=settled(named.acoustic)))
    differs = [name for name, value in here.items() if value is not None and value != getattr(found, name)]
    if differs:
        raise ConfigError(
            f"{folder}: was fitted with another {' and '.join(differs).replace('_', ' ')}; calibrate again with what "
            "this run has, or do without (acoustic.calibration: null)."
        )


def fitted_with(config: RunConfig) -> dict[str, str | None]:
    """Return the hashes that a calibration which is fitted with ``config`` notes; phones are settled."""
    acoustic, language = config.acoustic, config.language_model
    return {
        "model": model_fingerprint(acoustic.model),
        "phones": phones_fingerprint(acoustic.phones),
        "language_model": None if language is None else content_hash(language.path),
    }


def _cautious(config: RunConfig) -> RunConfig:
    """Return ``config`` with ``guard.cautious`` where a guard with the shipped weights judges another model than ours.

    A bound that a user set himself stands.
    """
    guard = config.guard
    if guard is None or guard.bound is not None or guard.weights != GuardConfig().weights:
        return config
    if _is_ours(config):
        return config
    return dataclasses.replace(config, guard=dataclasses.replace(guard, cautious=True))


def doubting(config: RunConfig) -> RunConfig:
    """Return ``config`` with ``guard.doubts`` settled: on for a model that hears phones and is not ours.

    Letters that are heard in place of phones cannot tell what sounds alike.
    """
    guard = config.guard
    if guard is None or guard.doubts is not None or _is_ours(config):
        return config
    phones = settled(config.acoustic).phones
    return dataclasses.replace(config, guard=dataclasses.replace(guard, doubts=phones != LETTERS))


def _is_ours(config: RunConfig) -> bool:
    return model_fingerprint(config.acoustic.model) == model_fingerprint(AcousticConfig().model)
