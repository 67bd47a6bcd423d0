"""Configuration files: YAML with the fields that differ from a preset."""

import yaml

from pipeline import storage
from pipeline.config import RunConfig, override
from pipeline.errors import ConfigError


def with_file(config: RunConfig, path: str | None) -> RunConfig:
    """Return ``config`` with the YAML file at ``path`` (local or s3://) put over it; as it is where there is none.

    Raises StorageError if the file cannot be read, ConfigError if it is not YAML or has unknown keys or wrong types.
    """
    if path is None:
        return config
    location = storage.open_filesystem(path)
    storage.check_readable(location)
    try:
        values = yaml.safe_load(storage.read_bytes(location)) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not YAML ({error}).") from error
    return override(config, values)
