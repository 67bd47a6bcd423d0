"""A real S3 server over HTTP for tests: moto's, in a thread of this process."""

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

from moto.server import ThreadedMotoServer

from pipeline.storage import Location, open_filesystem


@contextlib.contextmanager
def moto_endpoint() -> Iterator[str]:
    """Yield the URL of a server that lives as long as the block."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def options_for(endpoint: str, **more: Any) -> dict[str, Any]:
    return {"endpoint": endpoint, "key": "test", "secret": "very-secret-42", "region": "us-east-1"} | more


def new_bucket(options: dict[str, Any]) -> Location:
    """Make an empty bucket and return its location."""
    bucket = open_filesystem(f"s3://bucket-{uuid.uuid4().hex[:12]}", options)
    bucket.filesystem.call_s3("create_bucket", Bucket=bucket.path)
    return bucket
