"""Finding a run by what a user names: its directory, its transcripts, or a folder in which it is the only run."""

import glob
import posixpath

from pipeline import storage
from pipeline.errors import InputError
from pipeline.runs.folder import TRANSCRIPTS, RunFolder


def transcripts_of(path: str) -> str:
    """Return where the TRANSCRIPTS of ``path`` are: a run has them in ``transcripts/``, an output folder in its run."""
    location = storage.open_filesystem(path)
    if not storage.exists(location) or location.path.endswith(".parquet"):
        return path
    if storage.exists(RunFolder(location).transcripts):
        return posixpath.join(path, TRANSCRIPTS)
    runs = sorted(location.filesystem.glob(posixpath.join(glob.escape(location.path), "*", TRANSCRIPTS)))
    if len(runs) > 1:
        names = [posixpath.basename(posixpath.dirname(run)) for run in runs]
        raise InputError(f"{path} holds {len(runs)} runs {names[:5]}; name the one to score, e.g. {path}/{names[0]}.")
    return posixpath.join(path, posixpath.basename(posixpath.dirname(runs[0])), TRANSCRIPTS) if runs else path


def find_run(path: str) -> RunFolder | None:
    """Return the run whose transcripts ``path`` stands for; None if they lie alone. Raises InputError for several."""
    transcripts = transcripts_of(path).rstrip("/")
    if posixpath.basename(transcripts) != TRANSCRIPTS:
        return None
    return RunFolder(storage.open_filesystem(transcripts).parent)
