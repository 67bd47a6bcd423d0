"""Values of a YAML file put over a configuration, checked against its types."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any

from pipeline.config.config import RunConfig
from pipeline.config.presets import unjudged
from pipeline.errors import ConfigError


def override(config: RunConfig, values: Mapping[str, Any]) -> RunConfig:
    """Return ``config`` with the nested ``values`` (as read from YAML) put over it.

    ``{"language_model": None}`` turns an optional part off, ``{"hotwords": {}}`` turns it on with its defaults.
    ``{"guard": None}`` also takes back what is bold behind it (``unjudged``), before the other values.
    Raises ConfigError, naming the full key, for unknown keys and wrong types.
    """
    if isinstance(values, Mapping) and values.get("guard", config.guard) is None and config.guard is not None:
        config = unjudged(config)
    result: RunConfig = _override(config, RunConfig, values, "")
    return result


def _override(current: Any, kind: type, values: Mapping[str, Any], prefix: str) -> Any:
    if not isinstance(values, Mapping):
        raise ConfigError(
            f"config '{prefix.rstrip('.') or 'file'}' must be a mapping of keys to values, got {values!r}."
        )
    hints = typing.get_type_hints(kind)
    changes = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if key not in hints:
            raise ConfigError(f"unknown config key '{name}'; there are {sorted(hints)}.")
        changes[key] = _coerce(getattr(current, key), hints[key], value, name)
    return dataclasses.replace(current, **changes)


def _coerce(current: Any, hint: Any, value: Any, name: str) -> Any:
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is None and type(None) in options:
        return None
    for option in options:
        if dataclasses.is_dataclass(option):
            kind = typing.cast(type, option)
            return _override(current if current is not None else kind(), kind, value, f"{name}.")
        if option is float and isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        if typing.get_origin(option) is tuple and isinstance(value, list | tuple):
            item = typing.get_args(option)[0]
            return tuple(_coerce(None, item, part, name) for part in value)
        if isinstance(option, type) and isinstance(value, option) and not (option is int and isinstance(value, bool)):
            return value
    wanted = " or ".join(getattr(option, "__name__", str(option)) for option in options)
    raise ConfigError(f"config key '{name}' must be {wanted}, got {value!r} ({type(value).__name__}).")
