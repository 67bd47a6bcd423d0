"""What the sounds of a run's lists tell the linter; a task of its own, as the driver needs no models in its memory."""

import ray

from pipeline.config import RunConfig
from pipeline.lint.findings import Finding
from pipeline.storage import Location


@ray.remote(max_calls=1, num_cpus=0)  # the process ends with the call and gives its memory back
def lint_sounds(config: RunConfig, lists: Location) -> list[Finding]:
    """Return the findings about the lists that the run has saved. Raises ModelError."""
    from pipeline.entities import snapshot
    from pipeline.lint.check import lint_sound

    return lint_sound(snapshot.load_union(lists), config)
