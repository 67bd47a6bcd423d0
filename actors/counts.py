"""What the meter counts; apart from it, so that reading counts needs no Ray."""

import dataclasses


@dataclasses.dataclass
class StageCount:
    """What one stage has done so far, over all of its workers."""

    rows: int = 0
    errors: int = 0
    audio_seconds: float = 0.0
    busy_seconds: float = 0.0  # summed over workers
    cpu_seconds: float = 0.0  # processor time of the workers' processes during their batches
    first_start: float = 0.0  # time.time() at the start of the first batch; 0 before it
    last_end: float = 0.0
