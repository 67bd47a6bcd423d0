"""What a planned ingest is made of, as one hash: the same wherever the source lies, another once a byte changes."""

import hashlib
import json
from collections.abc import Iterator

import fsspec

from pipeline.config.fingerprint import DIGITS
from pipeline.errors import StorageError
from pipeline.ingest.audio_parquet import read_paths
from pipeline.ingest.plan import Draft
from pipeline.ingest.recordings import Recording, resolve, to_json
from pipeline.storage import Location, attempt

ROWS_FORMAT = 1
"""To be raised where the same recordings come out as other rows than before, so that none are used in their place."""
_UNREADABLE = "unreadable"


def content_hash(draft: Draft, place: Location, root: Location | None) -> str:
    """Return the hash of the plan's options, of what it says of every recording, and of every recording's bytes.

    place: what was ingested; its filesystem holds the recordings
    root:  where paths in parquet start, by default the folder of the file
    Local files are read whole, which takes less time than decoding them; of objects the store's own checksum counts.
    """
    digest = hashlib.sha256(json.dumps([ROWS_FORMAT, draft.options], sort_keys=True).encode())
    previous = None
    for recording in draft.recordings():
        said = to_json(recording)
        del said["path"]
        digest.update(json.dumps(said, sort_keys=True).encode())
        if recording.path != previous:  # parquet comes in several parts, one after the other
            previous = recording.path
            for part in _contents(Location(place.filesystem, recording.path), recording, root):
                digest.update(part.encode())
    return digest.hexdigest()[:DIGITS]


def _contents(location: Location, recording: Recording, root: Location | None) -> Iterator[str]:
    """Yield a hash of the file, and of each file that it names instead of holding it."""
    yield _file_hash(location.filesystem, location.path)
    if recording.row_group is None:
        return
    for path in read_paths(location):
        try:
            named = resolve(root or location.parent, path)
        except StorageError:
            continue  # it will be a row with an error
        yield _file_hash(named.filesystem, named.path)


def _file_hash(filesystem: fsspec.AbstractFileSystem, path: str) -> str:
    """A file that cannot be read becomes a row with an error; when it can be, the content is another."""
    location = Location(filesystem, path)

    def look() -> str:
        if not location.is_local:
            about = filesystem.info(path)
            return f"{about.get('ETag')} {about.get('size')}"
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    try:
        return attempt(look, location, "read", passing=(OSError,))
    except OSError:
        return _UNREADABLE
