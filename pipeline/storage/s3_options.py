"""How to reach an S3 server: options of the command line and the environment, made into an s3fs filesystem."""

import json
import os
from collections.abc import Mapping
from typing import Any

import fsspec

from pipeline.errors import ConfigError

S3_OPTIONS = ("endpoint", "key", "secret", "token", "region", "anon", "retries", "timeout_seconds")
"""Keys that ``options`` may hold; the same as ``ROLLCALL_S3_<KEY>`` in the environment (``AWS_*`` is read as well)."""
_RETRIES = 8  # attempts per request; with exponential back-off about a minute, longer than a usual throttling spell
_TIMEOUT_SECONDS = 60.0  # of one read or connection attempt, then it is tried again

Options = Mapping[str, Any]


def parse_options(text: str | None) -> dict[str, Any]:
    """Read ``--storage-options``: a JSON object, or the path of a file that holds one (better for secrets).

    Raises ConfigError if it is neither.
    """
    source = text or "{}"
    try:
        if not source.lstrip().startswith("{"):
            with open(source, encoding="utf-8") as file:
                source = file.read()
        values = json.loads(source)
    except (OSError, ValueError) as error:  # the text itself may hold a secret and is not repeated
        raise ConfigError(
            f"--storage-options must be a JSON object or the path of one ({type(error).__name__})."
        ) from error
    if not isinstance(values, dict):
        raise ConfigError(f"--storage-options must be a JSON object, got a JSON {type(values).__name__}.")
    return values


def s3_filesystem(options: Options) -> fsspec.AbstractFileSystem:
    """Return an s3fs filesystem without a listing cache, which would hide what other workers write."""
    unknown = sorted(set(options) - set(S3_OPTIONS))
    if unknown:
        raise ConfigError(f"unknown storage options {unknown}; there are {list(S3_OPTIONS)}.")
    chosen = {key: options.get(key, os.environ.get(f"ROLLCALL_S3_{key.upper()}")) for key in S3_OPTIONS}
    timeout = _number(chosen, "timeout_seconds", _TIMEOUT_SECONDS)
    attempts = int(_number(chosen, "retries", _RETRIES))
    endpoint = chosen["endpoint"] or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    config: dict[str, Any] = {
        "retries": {"max_attempts": attempts, "mode": "standard"},
        "connect_timeout": timeout,
        "read_timeout": timeout,
    }
    if endpoint:  # servers other than AWS often refuse the checksums that botocore adds unasked
        config |= {"request_checksum_calculation": "when_required", "response_checksum_validation": "when_required"}
    return fsspec.filesystem(
        "s3",
        anon=str(chosen["anon"] or "").lower() in ("1", "true", "yes"),
        endpoint_url=endpoint,
        key=chosen["key"],
        secret=chosen["secret"],
        token=chosen["token"],
        client_kwargs={"region_name": chosen["region"]} if chosen["region"] else {},
        config_kwargs=config,
        use_listings_cache=False,
    )


def _number(chosen: Mapping[str, Any], key: str, default: float) -> float:
    value = chosen[key]
    try:
        number = default if value in (None, "") else float(value)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"storage option '{key}' must be a number, got {value!r}.") from error
    if number <= 0:
        raise ConfigError(f"storage option '{key}' must be above zero, got {value!r}.")
    return number
