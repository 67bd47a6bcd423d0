"""One utterance as the unbiased search hears it: what proposals are held against."""

import dataclasses

import numpy as np
import numpy.typing as npt

from pipeline.lexicon.phone_index import PhoneIndex
from pipeline.rescoring.aligned import Aligned, Variants
from pipeline.types.emissions import Emissions
from pipeline.types.entity import EntityList


@dataclasses.dataclass(frozen=True)
class Scene:
    """One utterance as the unbiased search hears it."""

    aligned: Aligned
    subwords: npt.NDArray[np.float32]  # [T, V], floored
    best_spelled: npt.NDArray[np.float32]  # [T] log-probability of the best piece
    adapted: npt.NDArray[np.float32] | None  # [T, V] ``subwords`` after the contextual adapter
    attended: dict[str, tuple[float, float]]  # highest and summed attention by entity; nothing without an adapter
    least: npt.NDArray[np.float32]  # [T] phone cost of the best path
    texts: list[str]
    index: PhoneIndex
    listed: dict[str, Variants]
    close: int  # entities that the phones fit closely
    heard: Emissions
    entities: EntityList  # the shortlist
    size_class: int  # power of two of the list that it was ranked from; 0 for lists that are not ranked
