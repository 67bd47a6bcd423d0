"""The first stage of a run with a session: what was clear in every utterance, before any is decoded."""

from collections.abc import Sequence

from actors.recordings import ClearNotes, ClearSettings
from jobs.run.preflight import Transcription
from jobs.run.units import rows_on_ray
from pipeline.storage import Location


def clear_settings(run: Transcription) -> ClearSettings | None:
    """Return what the first stage of a run needs, None for a run without a session."""
    if run.config.session is None:
        return None
    assert run.cache is not None  # preflight asks for one
    cached, target = run.cache.folder.root, run.folder.recordings
    return ClearSettings(run.config, run.folder.lists, run.list_column is not None, cached, target)


def note_here(settings: ClearSettings, files: Sequence[Location]) -> None:
    """Do what is left of the first stage in this process; ``files``: of the cached first pass."""
    left = settings.left(list(files))
    worker = ClearNotes(settings) if left else None
    for path in left:
        assert worker is not None
        worker.work(path)


def note_on_ray(settings: ClearSettings, files: Sequence[Location], workers: int, cpus: float) -> None:
    """Do what is left of it with the Ray that is running, on at most so many workers."""
    left = [{"path": path} for path in settings.left(list(files))]
    for _ in rows_on_ray(ClearNotes, settings, left, workers, cpus) if left else ():
        pass
