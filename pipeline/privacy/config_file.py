"""``privacy.yaml`` as a file."""

import yaml

from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.privacy.config import PrivacyConfig, from_values


def read_config(path: str) -> PrivacyConfig:
    """Return the configuration in a YAML file, local or s3://; raises StorageError or ConfigError."""
    location = storage.open_filesystem(path)
    storage.check_readable(location)
    try:
        values = yaml.safe_load(storage.read_bytes(location))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not YAML ({error}).") from error
    return from_values(values)
