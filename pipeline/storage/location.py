"""Where data lie: local paths and ``s3://`` behind one small interface over fsspec.

A ``Location`` is a path and the filesystem that holds it; it can be pickled into a worker. Credentials come from the
environment (``AWS_*``, as boto reads it) or from ``options``, and are never part of a message or a ``uri``.
"""

import contextlib
import dataclasses
import glob
import io
import json
import os
import posixpath
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, TypeVar

import fsspec
import pyarrow as pa
import pyarrow.fs as pa_fs
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from pipeline.errors import StorageError
from pipeline.storage.s3_options import Options, s3_filesystem

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class Location:
    """A file or folder: ``path`` as ``filesystem`` (fsspec) writes it, without the protocol."""

    filesystem: fsspec.AbstractFileSystem
    path: str

    @property
    def is_local(self) -> bool:
        return isinstance(self.filesystem, LocalFileSystem)

    @property
    def uri(self) -> str:
        """For messages and for humans; holds no credentials."""
        return self.path if self.is_local else f"s3://{self.path}"

    @property
    def name(self) -> str:
        return posixpath.basename(self.path.rstrip("/"))

    @property
    def parent(self) -> "Location":
        return Location(self.filesystem, posixpath.dirname(self.path.rstrip("/")))

    def arrow(self) -> pa_fs.FileSystem:
        """The same filesystem for pyarrow and Ray Data (``read_parquet(path, filesystem=...)``)."""
        if self.is_local:
            return pa_fs.LocalFileSystem()
        return pa_fs.PyFileSystem(pa_fs.FSSpecHandler(self.filesystem))

    def join(self, *parts: str) -> "Location":
        """Return the location below this one; raises StorageError if ``parts`` (which may be data) would leave it."""
        relative = posixpath.normpath("/".join(part.replace(os.sep, "/") for part in parts))
        if relative.startswith(("/", "../")) or relative in ("..", ".") or "\0" in relative:
            raise StorageError(f"path {'/'.join(parts)!r} leaves its folder {self.uri}; it must stay below it.")
        return Location(self.filesystem, posixpath.join(self.path, relative))

    def relative(self, path: str) -> str:
        """Return ``path`` (of a file below this folder) relative to it."""
        return path[len(self.path.rstrip("/")) + 1 :]


def open_filesystem(uri: str, options: Options | None = None) -> Location:
    """Return the location of a local path, ``file://`` or ``s3://bucket/key``; touches neither disk nor network.

    Raises StorageError for other protocols and ConfigError for options that are unknown.
    """
    protocol, _, rest = uri.partition("://")
    if not uri or (protocol in ("s3", "s3a") and not rest.strip("/")):
        raise StorageError(f"{uri!r} is no path; needed is a local path or s3://bucket/key.")
    if not rest or protocol == "file":
        return Location(fsspec.filesystem("file"), os.path.abspath(os.path.expanduser(rest or uri)))
    if protocol not in ("s3", "s3a"):
        raise StorageError(f"{uri!r}: protocol '{protocol}' is not supported; there are local paths and s3://.")
    return Location(s3_filesystem(options or {}), rest.rstrip("/"))


def check_readable(location: Location) -> None:
    """Raise StorageError unless the file can be opened, or the folder is there and can be listed."""

    def look() -> bool:
        if location.filesystem.isfile(location.path):
            with location.filesystem.open(location.path, "rb") as file:
                file.read(1)
            return True
        if location.is_local:
            return os.path.isdir(location.path) and os.listdir(location.path) is not None
        files, folders = next(_s3_pages(location))
        return bool(files or folders)

    if not attempt(look, location, "read"):
        raise StorageError(f"{location.uri} does not exist; give an existing file or folder.")


def check_writable(location: Location) -> None:
    """Create the folder and prove that files can be made in it; raises StorageError if not."""
    probe = location.join(f"_probe-{uuid.uuid4().hex}")
    if location.is_local and os.path.exists(location.path) and not os.path.isdir(location.path):
        raise StorageError(f"{location.uri} is a file; needed is a folder that can be written.")
    write_atomic(probe, b"probe")
    attempt(lambda: location.filesystem.rm_file(probe.path), location, "write to")


def exists(location: Location) -> bool:
    """Whether a file or folder is there; raises StorageError if that cannot be found out."""
    return attempt(lambda: bool(location.filesystem.exists(location.path)), location, "read")


def read_bytes(location: Location) -> bytes:
    """Return the whole content of a small file; raises StorageError if it cannot be read."""
    return attempt(lambda: bytes(location.filesystem.cat_file(location.path)), location, "read")


def read_table(location: Location) -> pa.Table:
    """Return a whole parquet file, read at once; raises StorageError."""
    return attempt(lambda: pq.read_table(io.BytesIO(read_bytes(location))), location, "read")


def parquet_bytes(table: pa.Table) -> bytes:
    """Return a table as a parquet file, compressed: what ``read_table`` reads."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def read_head(location: Location, size: int) -> bytes:
    """Return the first bytes of a file; raises StorageError."""

    def read() -> bytes:
        with location.filesystem.open(location.path, "rb", block_size=size) as file:
            return bytes(file.read(size))

    return attempt(read, location, "read")


@contextlib.contextmanager
def open_seekable(location: Location) -> Iterator[BinaryIO]:
    """Open a file for decoders that seek; a remote one is downloaded first (to disk, with the storage's retries).

    Raises OSError if this file is at fault (FileNotFoundError and others) and StorageError if a remote storage is.
    """
    if location.is_local:
        with open(location.path, "rb") as file:
            yield file
        return
    with tempfile.NamedTemporaryFile(prefix="rollcall-") as copy:
        attempt(lambda: location.filesystem.get_file(location.path, copy.name), location, "read", (FileNotFoundError,))
        with open(copy.name, "rb") as file:
            yield file


def remove(location: Location) -> None:
    """Remove a file or a whole folder if it is there; raises StorageError if that fails."""

    def act() -> None:
        if location.filesystem.exists(location.path):
            location.filesystem.rm(location.path, recursive=True)

    attempt(act, location, "remove")


def write_atomic(location: Location, data: bytes) -> None:
    """Write a small file so that a reader sees the old content or the new, never a part; makes its folder."""

    def write() -> None:
        if not location.is_local:
            location.filesystem.pipe_file(location.path, data)  # an object appears whole or not at all
            return
        os.makedirs(os.path.dirname(location.path), exist_ok=True)
        temporary = f"{os.path.dirname(location.path)}/.{location.name}.{uuid.uuid4().hex}"
        try:
            with open(temporary, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, location.path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)  # there only if something failed

    attempt(write, location, "write")


def write_json(location: Location, content: Mapping[str, Any]) -> None:
    """Write a record for people and programs, as ``write_atomic`` does."""
    write_atomic(location, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())


_TAKEN = {"PreconditionFailed", "ConditionalRequestConflict"}  # S3: it is there, or is being made


def create_only(location: Location, data: bytes) -> bool:
    """Write a small file if none of that name is there; return False, and write nothing, where there is one.

    Of several writers one gets True, on any machines: a link that must be new locally, a conditional put on S3. A
    storage that ignores the condition is found out by reading back.
    """

    def write() -> bool:
        if location.is_local:
            return _link_new(location, data)
        try:
            location.filesystem.pipe_file(location.path, data, mode="create")
        except FileExistsError:
            return False
        except OSError as error:
            answer = getattr(error.__cause__, "response", {}).get("Error", {}).get("Code")
            if answer not in _TAKEN:
                raise
            return False
        return bytes(location.filesystem.cat_file(location.path)) == data

    return attempt(write, location, "write")


def _link_new(location: Location, data: bytes) -> bool:
    temporary = location.parent.join(f".{location.name}.{uuid.uuid4().hex}")
    write_atomic(temporary, data)
    try:
        os.link(temporary.path, location.path)
    except FileExistsError:
        return False
    finally:
        os.unlink(temporary.path)
    return True


def publish(local_file: str, location: Location) -> None:
    """Move a finished local file to its final place, where it appears whole or not at all.

    For a local ``location``, ``local_file`` must lie on the same disk (rename is atomic only there).
    """

    def move() -> None:
        if location.is_local:
            os.makedirs(os.path.dirname(location.path), exist_ok=True)
            os.replace(local_file, location.path)
        else:
            location.filesystem.put_file(local_file, location.path)
            os.unlink(local_file)

    attempt(move, location, "write")


def walk_files(location: Location) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """Yield (folder, [(path, bytes), ...]) in sorted order, a folder's files before its folders, no ``.hidden`` names.

    One folder is in memory at a time, on s3 a page of 1,000 names, so that a large folder comes several times. A single
    file yields itself. Links are followed, as the user named the folder that they lie in; one to a folder above itself
    is a loop and is not, and a link to nothing is a file of 0 bytes. The ``blobs`` of a Hugging Face hub cache are left
    out: its ``snapshots`` link to them. Raises StorageError.
    """
    if attempt(lambda: bool(location.filesystem.isfile(location.path)), location, "read"):
        size = attempt(lambda: int(location.filesystem.size(location.path)), location, "read")
        yield location.parent.path, [(location.path, size)]
        if location.is_local:
            return  # on s3 an object "rec" and the folder "rec/" can both be there
    yield from _walk(location, frozenset())


def _walk(location: Location, above: frozenset[str]) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    if location.is_local:
        real = os.path.realpath(location.path)
        if real in above:
            return
        above |= {real}
    folders: list[str] = []
    pages = _local_page(location) if location.is_local else _s3_pages(location)
    for files, below in pages:
        visible = sorted((path, size) for path, size in files if _visible(path))
        if visible:
            yield location.path, visible
        folders += [path for path in below if _visible(path)]
    names = {posixpath.basename(path): path for path in folders}
    if {"blobs", "snapshots"} <= names.keys():
        folders.remove(names["blobs"])
    for path in sorted(folders):
        yield from _walk(Location(location.filesystem, path), above)


_Page = tuple[list[tuple[str, int]], list[str]]  # files with their sizes, and folders


def _local_page(location: Location) -> Iterator[_Page]:
    def look() -> _Page:
        files, folders = [], []
        with os.scandir(location.path) as entries:
            for entry in entries:
                try:
                    if entry.is_dir():
                        folders.append(entry.path)
                    elif entry.is_file():
                        files.append((entry.path, entry.stat().st_size))
                    elif entry.is_symlink() and not os.path.exists(entry.path):
                        files.append((entry.path, 0))
                except OSError:  # a link to itself, or a file that is gone by now: whoever reads it says so
                    files.append((entry.path, 0))
        return files, folders

    yield attempt(look, location, "list")


def _s3_pages(location: Location) -> Iterator[_Page]:
    """s3fs itself lists a whole folder, which may hold millions of names, before it returns.

    Keys are kept as they are, also with ``//`` in them: only the one slash that makes a prefix a folder is taken off.
    """
    bucket, _, key = location.path.partition("/")
    request = {"Bucket": bucket, "Prefix": f"{key}/" if key else "", "Delimiter": "/"}
    while True:
        answer = attempt(lambda: location.filesystem.call_s3("list_objects_v2", **request), location, "list")
        files = [(f"{bucket}/{item['Key']}", int(item["Size"])) for item in answer.get("Contents", [])]
        folders = [f"{bucket}/{item['Prefix']}".removesuffix("/") for item in answer.get("CommonPrefixes", [])]
        yield [(path, size) for path, size in files if not path.endswith("/")], folders
        if not answer.get("IsTruncated"):
            return
        request["ContinuationToken"] = answer["NextContinuationToken"]


def _visible(path: str) -> bool:
    return not posixpath.basename(path).startswith(".")


def is_pattern(location: Location) -> bool:
    """Whether the path is a pattern: it has ``*``, ``?`` or ``[``, and nothing of that very name is there."""
    return any(sign in location.path for sign in "*?[") and not exists(location)


def matching(pattern: str) -> list[str]:
    """Return the local file of this very name or, if there is none, the files that it matches as a pattern, sorted."""
    return [pattern] if os.path.exists(pattern) else sorted(glob.glob(pattern))


def list_parquet(uri: str, options: Options | None = None) -> list[Location]:
    """Return the parquet files of a file, a folder (all levels) or a glob, sorted.

    Raises StorageError if there is none, or it cannot be read.
    """
    location = open_filesystem(uri, options)
    if is_pattern(location):
        paths = attempt(lambda: sorted(location.filesystem.glob(location.path)), location, "list")
        found = [Location(location.filesystem, path) for path in map(str, paths) if _visible(path)]
    else:
        check_readable(location)
        found = list(walk_parquet(location))
    if not found:
        raise StorageError(f"{uri}: no .parquet file there; `python -m jobs.ingest` makes them from audio.")
    return found


def walk_parquet(location: Location) -> Iterator[Location]:
    """Yield the parquet files below a folder, or the file itself whatever its name is; raises StorageError."""
    for _, files in walk_files(location):
        for path, _ in files:
            if path == location.path or is_parquet(location.relative(path)):
                yield Location(location.filesystem, path)


def is_parquet(relative: str) -> bool:
    """Whether a path within a dataset is one of its parquet files; names with ``_`` hold bookkeeping."""
    return relative.lower().endswith((".parquet", ".pq")) and not any(
        part.startswith("_") for part in relative.split("/")
    )


def attempt(action: Callable[[], _T], location: Location, verb: str, passing: tuple[type[Exception], ...] = ()) -> _T:
    """Run ``action`` on ``location``; what goes wrong in the storage becomes a StorageError saying what to check.

    Exceptions of the kinds ``passing`` are about the content and go through as they are.
    """
    through: tuple[type[Exception], ...] = (StorageError, *passing)
    try:
        return action()
    except through:
        raise
    except FileNotFoundError as error:
        raise StorageError(f"cannot {verb} {location.uri}: it does not exist.") from error
    except PermissionError as error:
        advice = "check its permissions" if location.is_local else "check the credentials (AWS_*, or anon)"
        raise StorageError(f"cannot {verb} {location.uri}: permission denied; {advice}.") from error
    except Exception as error:  # botocore, aiohttp and fsspec raise many kinds; each is a storage failure here
        advice = "" if location.is_local else " Check the endpoint, the credentials and the network."
        raise StorageError(f"cannot {verb} {location.uri}: {type(error).__name__}: {error}.{advice}") from error
