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
    device_seconds: float = 0.0  # inside the acoustic model, on a GPU or a core; 0 for stages without one
    bytes_in: int = 0  # of the Arrow tables that came
    bytes_out: int = 0
    queue: int = 0  # rows that the stage before has done and this one has not
    peak_queue: int = 0
    first_start: float = 0.0  # time.time() at the start of the first batch; 0 before it
    last_end: float = 0.0
