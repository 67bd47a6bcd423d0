"""The adapter over many utterances with lists of their own at once, for a device that one at a time would leave idle.

The same mathematics as pipeline.acoustic.adapter_runner has for one utterance, to the rounding of its matrix products.
Two copies go in and two come back for each batch, and between them nothing asks the device for anything.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch

from pipeline.acoustic.adapter import Attention, Catalog, ContextualAdapter, Frames, pad_spellings
from pipeline.acoustic.adapter_spelling import Speller, Spelling
from pipeline.acoustic.batching import fetch, rank
from pipeline.types.emissions import SparseLogProbs
from pipeline.types.entity import EntityList

LEAST_SHARE = 1e-3
"""Frames that give less of their attention to the list keep the base's output as it is, to the bit."""
KEPT_SHARE = 1e-2
"""A subword with this share of a frame's attention is kept among its candidates whatever its log-probability."""
_CELLS = 1 << 26
"""Frames x subwords or phones x spellings x heads of a batch, with its padding: 256 MB per tensor, of some ten."""
_KEPT_SPELLINGS = 1 << 14  # of 12 kB each, where the longest has 16 subwords


@dataclasses.dataclass(frozen=True)
class Listened:
    """One utterance's first pass and its list.

    last: [T, D], query: [T, Q], phones: [T, P] log-probs or None
    """

    first: SparseLogProbs
    last: npt.NDArray[np.float16]
    query: npt.NDArray[np.float16]
    phones: npt.NDArray[np.float16] | None
    entities: EntityList


@dataclasses.dataclass(frozen=True)
class Adapted:
    """What the adapter says of one utterance.

    tokens:   the candidates of the first pass with the entities raised; None where nothing is
    attended: [E, 3] of each entity the highest share of any frame's attention, the sum of its shares in frames, and
              the frame that attends to it most; NaN for one that cannot be attended to
    """

    tokens: SparseLogProbs | None
    attended: npt.NDArray[np.float16]


def unheard(entities: EntityList) -> Adapted:
    """Return what is said of a list that cannot be attended to."""
    return Adapted(None, np.full((len(entities), 3), np.nan, np.float16))


def spelled_rows(speller: Speller, entities: EntityList) -> list[tuple[Spelling, int]]:
    """Return the spellings of a list with the entities that they belong to; weights of 0 or less have none."""
    return [
        (row, number)
        for number, entity in enumerate(entities.entities)
        if entity.weight > 0
        for row in speller.rows(entity)
    ]


class SpellingTable:
    """Embeddings of the spellings that were seen lately, on the device; row 0 is none and pads."""

    def __init__(self, adapter: ContextualAdapter, device: torch.device) -> None:
        self._adapter, self._device = adapter, device
        self._rows: dict[Spelling, int] = {}
        self._parts: Catalog | None = None

    def index(self, spellings: Sequence[Spelling]) -> dict[Spelling, int]:
        """Return the rows of these spellings, at least; what is new is encoded, all of it at once."""
        missing = [one for one in dict.fromkeys(spellings) if one not in self._rows]
        if len(self._rows) + len(missing) > _KEPT_SPELLINGS:
            self._rows, self._parts, missing = {}, None, list(dict.fromkeys(spellings))
        if missing:
            missing.sort(key=lambda row: (len(row[0]), row))  # like lengths together: little is padded
            spelled = pad_spellings(missing, self._adapter.shape.blank)
            with torch.inference_mode():
                self._append(self._adapter.catalog(spelled.to(self._device), spelled.sizes))
            self._rows |= {row: number for number, row in enumerate(missing, 1 + len(self._rows))}
        return self._rows

    def take(self, rows: torch.Tensor, subwords: int, phones: int) -> Catalog:
        """Return the spellings ``rows`` [B, N] of each utterance, cut to so many subwords and phones."""
        assert self._parts is not None
        kept = self._parts
        return Catalog(
            kept.tokens[:, :subwords][rows],
            kept.sizes[rows],
            kept.phones[:, :phones][rows],
            kept.phone_sizes[rows],
            kept.keys[:, :, :subwords][rows].permute(0, 2, 3, 1, 4),  # [B, N, H, J, K] -> [B, H, J, N, K]
            kept.values[:, :subwords][rows].transpose(1, 2),  # [B, N, J, U] -> [B, J, N, U]
        )

    def _append(self, new: Catalog) -> None:
        """Keep what was encoded, with the spellings in front: keys [N, H, J, K], values [N, J, U]."""
        keys, values = new.keys.permute(2, 0, 1, 3), new.values.transpose(0, 1)
        parts: tuple[torch.Tensor, ...] = (new.tokens, new.sizes, new.phones, new.phone_sizes, keys, values)
        if self._parts is None:
            parts = tuple(torch.cat([torch.zeros_like(part[:1]), part]) for part in parts)
        else:
            before = [getattr(self._parts, field.name) for field in dataclasses.fields(Catalog)]
            parts = tuple(_joined(*pair) for pair in zip(before, parts, strict=True))
        self._parts = Catalog(*parts)


def _joined(above: torch.Tensor, below: torch.Tensor) -> torch.Tensor:
    """Return the rows of two tensors, each padded with zeros to the larger of every further dimension."""
    size = [max(pair) for pair in zip(above.shape[1:], below.shape[1:], strict=True)]
    whole = above.new_zeros(len(above) + len(below), *size)
    for part, start in ((above, 0), (below, len(above))):
        whole[(slice(start, start + len(part)), *(slice(0, length) for length in part.shape[1:]))] = part
    return whole


class BatchedAdapter:
    """Loaded once per worker. Embeddings of spellings stay on the device from one call to the next."""

    def __init__(self, adapter: ContextualAdapter, speller: Speller, prior: float, device: torch.device) -> None:
        self._adapter, self._speller, self._prior, self._device = adapter, speller, prior, device
        self._table = SpellingTable(adapter, device)

    def adapt(self, utterances: Sequence[Listened]) -> list[Adapted | None]:
        """Adapt each utterance; None for one whose list is too long for a batch."""
        spelled = [spelled_rows(self._speller, one.entities) for one in utterances]
        table = self._table.index([row for rows in spelled for row, _ in rows])
        results: list[Adapted | None] = [None] * len(utterances)
        begun: list[tuple[list[int], Callable[[], list[Adapted]]]] = []
        with torch.inference_mode():
            for group in self._groups(utterances, spelled):
                chosen = [_Rows.of(spelled[at], table) for at in group]
                begun.append((group, self._begin([utterances[at] for at in group], chosen)))
        for at, one in enumerate(utterances):
            if not spelled[at] or one.first.frames == 0:
                results[at] = unheard(one.entities)
        for group, take in begun:
            for at, adapted in zip(group, take(), strict=True):
                results[at] = adapted
        return results

    def _groups(
        self, utterances: Sequence[Listened], spelled: Sequence[Sequence[tuple[Spelling, int]]]
    ) -> Iterator[list[int]]:
        """Yield batches of utterances of like size, longest first, that stay within the memory."""

        def size(at: int) -> tuple[int, int, int]:
            rows = spelled[at]
            return utterances[at].first.frames, len(rows), max(max(len(s), len(p), 1) for (s, p), _ in rows)

        heads, group = self._adapter.shape.heads, list[int]()
        most = (0, 0, 0)
        left = [at for at, one in enumerate(utterances) if spelled[at] and one.first.frames]
        for at in sorted(left, key=lambda at: (-int(np.prod(size(at))), at)):
            padded = tuple(map(max, most, size(at)))
            if heads * int(np.prod(size(at))) > _CELLS:
                continue
            if group and heads * int(np.prod(padded)) * (len(group) + 1) > _CELLS:
                yield group
                group, padded = [], size(at)
            group, most = [*group, at], (padded[0], padded[1], padded[2])
        if group:
            yield group

    def _begin(self, utterances: Sequence[Listened], rows: Sequence["_Rows"]) -> Callable[[], list[Adapted]]:
        """Begin with a batch; return what waits for it."""
        lengths = [one.first.frames for one in utterances]
        count, entities = max(len(one.index) for one in rows), max(len(one.entities) for one in utterances)
        numbers = _numbers(rows, lengths, count, entities)  # [B, 1 + 2 N]
        numbers = (numbers.pin_memory() if self._pinned else numbers).to(self._device, non_blocking=True)
        frames = self._frames(utterances, max(lengths), numbers[:, 0])
        valid = torch.arange(max(lengths), device=self._device) < numbers[:, :1]  # [B, T]
        catalog = self._table.take(
            numbers[:, 1 : 1 + count], max(one.subwords for one in rows), max(one.phones for one in rows)
        )
        attention = self._adapter.attend(frames, catalog)
        changed = (attention.no_bias < 1 - LEAST_SHARE) & valid
        ids, values = self._ranked(frames, attention, catalog, utterances[0].first.ids.shape[1])
        found = torch.cat([ids, values.view(torch.int16), changed[..., None].to(torch.int16)], -1)  # [B, T, 2 k + 1]
        owners = numbers[:, 1 + count :, None] == torch.arange(entities, device=self._device)  # [B, N, E]
        shares = attention.subwords.sum(2) @ owners.float() * valid[..., None]  # [B, T, E]
        attended = torch.stack([shares.amax(1), shares.sum(1), shares.argmax(1)], dim=2).half()  # [B, E, 3]
        wait = fetch({"found": found, "attended": attended})

        def take() -> list[Adapted]:
            arrays = wait()
            pairs = zip(arrays["found"], arrays["attended"], utterances, rows, strict=True)
            return [_taken(found, attended, one, row) for found, attended, one, row in pairs]

        return take

    def _frames(self, utterances: Sequence[Listened], longest: int, lengths: torch.Tensor) -> Frames:
        """Copy a batch in and encode it; ``lengths`` [B] are there already."""
        parts = [[one.last, one.query, *self._phones(one)] for one in utterances]
        ends = list(itertools.accumulate(part.shape[1] for part in parts[0]))
        buffer = torch.zeros(len(parts), longest, ends[-1], dtype=torch.float16, pin_memory=self._pinned)
        array = buffer.numpy()
        for row, arrays in zip(array, parts, strict=True):
            np.concatenate(arrays, axis=1, out=row[: len(arrays[0])])
        last, query, *phones = buffer.to(self._device, non_blocking=True).float().tensor_split(ends[:-1], -1)
        frames = self._adapter.frames(last, query, lengths, phones[0] if phones else None)
        return dataclasses.replace(frames, no_bias=frames.no_bias + self._prior)

    def _phones(self, one: Listened) -> list[npt.NDArray[np.float16]]:
        return [] if one.phones is None or not self._adapter.shape.phones else [one.phones]

    @property
    def _pinned(self) -> bool:
        return self._device.type == "cuda"

    def _ranked(
        self, frames: Frames, attention: Attention, catalog: Catalog, k: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids and log-probs [B, T, k] of the best with the attention's context added."""
        adapter, subwords = self._adapter, attention.subwords  # [B, T, J, N]
        vocabulary = torch.arange(adapter.shape.vocabulary, device=self._device)
        expected = torch.zeros_like(frames.log_probs)  # [B, T, V]
        for j in range(subwords.shape[2]):  # a product, as a GPU adds up scattered numbers in any order
            expected = expected + subwords[:, :, j] @ (catalog.tokens[:, :, j, None] == vocabulary).float()
        value = subwords.flatten(2) @ catalog.values.flatten(1, 2)  # [B, T, U]
        context = expected @ adapter.directions + adapter.projection(value)  # [B, T, D]
        gate = adapter.gate_of(frames, attention.no_bias)
        return rank(adapter.output(frames.last + gate * context), k, first=expected >= KEPT_SHARE)


@dataclasses.dataclass(frozen=True)
class _Rows:
    """An utterance's spellings: their rows of the table, the entities that own them, and the sizes of the longest."""

    index: list[int]
    owners: list[int]
    subwords: int
    phones: int

    @classmethod
    def of(cls, spelled: Sequence[tuple[Spelling, int]], table: dict[Spelling, int]) -> "_Rows":
        return cls(
            [table[row] for row, _ in spelled],
            [owner for _, owner in spelled],
            max(len(subwords) for (subwords, _), _ in spelled),
            max(len(phones) for (_, phones), _ in spelled),
        )


def _numbers(rows: Sequence[_Rows], lengths: Sequence[int], count: int, entities: int) -> torch.Tensor:
    """Return [B, 1 + 2 N]: frames, rows of the table (0 pads) and their owners (none pads) of each utterance."""
    numbers = np.zeros((len(rows), 1 + 2 * count), np.int64)
    numbers[:, 0], numbers[:, 1 + count :] = lengths, entities
    for number, one in zip(numbers, rows, strict=True):
        number[1 : 1 + len(one.index)] = one.index
        number[1 + count : 1 + count + len(one.owners)] = one.owners
    return torch.from_numpy(numbers)


def _taken(
    found: npt.NDArray[np.int16], attended: npt.NDArray[np.float16], one: Listened, rows: _Rows
) -> Adapted:  # fmt: skip
    """Return one utterance of a batch; frames that are not changed keep the candidates of the first pass."""
    frames, k = one.first.ids.shape
    found, kept = found[:frames], attended[: len(one.entities)].copy()
    kept[np.setdiff1d(np.arange(len(one.entities)), rows.owners)] = np.nan
    changed = found[:, 2 * k, None] != 0
    if not changed.any():
        return Adapted(None, kept)
    ids = np.where(changed, found[:, :k], one.first.ids)
    values = np.where(changed, found[:, k : 2 * k].view(np.float16), one.first.values)
    return Adapted(SparseLogProbs(ids, values), kept)
