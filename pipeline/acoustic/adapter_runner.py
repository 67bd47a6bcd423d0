"""A trained adapter at work: from the cached first pass of one utterance and its shortlist to biased log-probs.

It needs the last states and the queries of the first pass, both in float16, and nothing of the base. Whether they come
from the encoder or from a file, they are rounded before they get here, so the result is the same to the bit.
"""

import collections
import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch

from pipeline.acoustic.adapter import Catalog, ContextualAdapter, Frames, pad_spellings
from pipeline.acoustic.adapter_batch import (
    KEPT_SHARE,
    LEAST_SHARE,
    Adapted,
    BatchedAdapter,
    Listened,
    spelled_rows,
    unheard,
)
from pipeline.acoustic.adapter_spelling import Speller
from pipeline.types.emissions import SparseLogProbs
from pipeline.types.entity import EntityList

_CELLS = 1 << 23  # frames x subwords x spellings x heads that are looked at together: 32 MB per tensor
_KEPT_LISTS = 64


@dataclasses.dataclass(frozen=True)
class EncodedList:
    """A list as the adapter sees it; ``owners`` [N] are indices into ``entities`` of the catalog's rows."""

    entities: EntityList
    catalog: Catalog
    owners: npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Looked:
    """Attention summed up. no_bias: [T]; rows: [N, T] share of each spelling, expected: [T, V] of each subword.

    value: [T, U]
    """

    no_bias: torch.Tensor
    rows: torch.Tensor
    expected: torch.Tensor
    value: torch.Tensor


class AdapterRunner:
    """Loaded once per worker; deterministic. Lists that were seen lately keep their embeddings, by content version.

    together: whether utterances given at once are one padded batch; on CPUs each is taken alone, so that nothing else
              has a part in its bytes
    """

    def __init__(self, adapter: ContextualAdapter, speller: Speller, prior: float = 0.0, device: str = "cpu") -> None:
        """``prior``: nats added to the score of ``<no-bias>``."""
        self._adapter, self.speller, self._prior = adapter.to(device).eval(), speller, prior
        self._device = torch.device(device)
        self._lists: collections.OrderedDict[str, EncodedList | None] = collections.OrderedDict()
        self._batched = BatchedAdapter(self._adapter, speller, prior, self._device)
        self.together = self._device.type != "cpu"

    def query(self, states: npt.NDArray[np.float16]) -> npt.NDArray[np.float16]:
        """Return the list-independent query [T, Q] of states [L + 1, T, D]."""
        rounded: npt.NDArray[np.float16] = self.query_of(torch.from_numpy(states).to(self._device)).cpu().numpy()
        return rounded

    def query_of(self, states: torch.Tensor) -> torch.Tensor:
        """Return the queries [..., T, Q] of float16 states [..., L + 1, T, D], in float16 too, on the device."""
        with torch.inference_mode():
            return self._adapter.query_of(states.float()).to(torch.float16)

    def adapt_all(self, utterances: Sequence[Listened]) -> list[Adapted]:
        """Adapt each utterance to its list, see ``adapt``; together, where that is faster."""
        batched = self._batched.adapt(utterances) if self.together else [None] * len(utterances)
        return [
            self.adapt(one.first, one.last, one.query, one.phones, one.entities) if said is None else said
            for one, said in zip(utterances, batched, strict=True)
        ]

    def adapt(
        self, first: SparseLogProbs, last: npt.NDArray[np.float16], query: npt.NDArray[np.float16],
        phones: npt.NDArray[np.float16] | None, entities: EntityList,
    ) -> Adapted:  # fmt: skip
        """Attend to ``entities`` and raise what is attended to among the candidates of the first pass.

        last: [T, D], query: [T, Q], phones: [T, P] log-probs or None
        """
        listed = self.encode(entities)
        if listed is None or first.frames == 0:
            return unheard(entities)
        with torch.inference_mode():
            frames = self.frames(last, query, phones)
            looked = self.look(frames, listed.catalog)
            shares = self._by_entity(looked, listed)
            attended = torch.stack([shares.amax(1), shares.sum(1), shares.argmax(1)], dim=1).half().cpu().numpy()
            attended[np.setdiff1d(np.arange(len(entities)), listed.owners)] = np.nan
            changed = torch.nonzero(looked.no_bias < 1 - LEAST_SHARE)[:, 0]
            if not len(changed):
                return Adapted(None, attended)
            log_probs = self._biased(frames, looked)[changed]
        expected = looked.expected[changed].cpu().numpy()
        return Adapted(replace_frames(first, changed.cpu().numpy(), log_probs.cpu().numpy(), expected), attended)

    def encode(self, entities: EntityList) -> EncodedList | None:
        """Return the list's embeddings, None if nothing on it can be attended to; weights of 0 or less cannot."""
        version = entities.version
        if version in self._lists:
            self._lists.move_to_end(version)
            return self._lists[version]
        encoded = self._encode(entities)
        self._lists[version] = encoded
        while len(self._lists) > _KEPT_LISTS:
            self._lists.popitem(last=False)
        return encoded

    def _encode(self, entities: EntityList) -> EncodedList | None:
        rows = spelled_rows(self.speller, entities)
        if not rows:
            return None
        rows.sort(key=lambda row: (len(row[0][0]), row))  # like lengths together: little is padded
        with torch.inference_mode():
            spelled = pad_spellings([row for row, _ in rows], self._adapter.shape.blank)
            catalog = self._adapter.catalog(spelled.to(self._device))
        return EncodedList(entities, catalog, np.array([owner for _, owner in rows]))

    def frames(
        self, last: npt.NDArray[np.float16], query: npt.NDArray[np.float16], phones: npt.NDArray[np.float16] | None
    ) -> Frames:
        """Encode one utterance."""
        lengths = torch.tensor([len(last)], device=self._device)
        heard = None if phones is None or not self._adapter.shape.phones else self._tensor(phones)[None]
        return self._adapter.frames(self._tensor(last)[None], self._tensor(query)[None], lengths, heard)

    def _tensor(self, values: npt.NDArray[np.float16]) -> torch.Tensor:
        return torch.from_numpy(values.astype(np.float32)).to(self._device)

    def scores(self, frames: Frames, catalog: Catalog) -> Iterator[tuple[Catalog, torch.Tensor]]:
        """Yield parts of the catalog with their scores [H, J, T, n], so that long lists need little memory."""
        frame_count, heads = frames.last.shape[1], self._adapter.shape.heads
        start = 0
        while start < len(catalog):
            deepest = int(max(catalog.tokens.shape[1], catalog.phones.shape[1]))
            count = max(1, _CELLS // (frame_count * heads * deepest))
            part = catalog.rows(torch.arange(start, min(start + count, len(catalog)), device=self._device))
            yield part, self._adapter.scores(frames, part, None)[0]
            start += count

    def look(self, frames: Frames, catalog: Catalog) -> Looked:
        """Return the attention over the whole catalog: a softmax in parts (Milakov and Gimelshein 2018)."""
        most = frames.no_bias[0] + self._prior  # [H, T, 1] highest score so far
        total = torch.ones_like(most)
        heads, count, _ = most.shape
        expected = torch.zeros(heads, count, self._adapter.shape.vocabulary, device=self._device)
        value = torch.zeros(heads, count, self._adapter.shape.value, device=self._device)
        rows = []
        for part, scores in self.scores(frames, catalog):
            flat = scores.transpose(1, 2).flatten(2)  # [H, T, J * n]
            higher = torch.maximum(most, flat.amax(2, keepdim=True))
            shrink, shares = (most - higher).exp(), (flat - higher).exp()
            total = total * shrink + shares.sum(2, keepdim=True)
            expected = (expected * shrink).index_add(2, part.tokens.T.reshape(-1), shares)
            value = value * shrink + shares @ part.values.flatten(0, 1)
            most = higher
            rows.append(scores.logsumexp(1))  # [H, T, n]
        no_bias = (frames.no_bias[0] + self._prior - most).exp() / total  # [H, T, 1]
        spellings = ((torch.cat(rows, dim=2) - most).exp() / total).mean(0).T  # [N, T]
        return Looked(no_bias.mean(0)[:, 0], spellings, (expected / total).mean(0), (value / total).mean(0))

    def _by_entity(self, looked: Looked, listed: EncodedList) -> torch.Tensor:
        """Return [E, T] the shares of each entity, over all its spellings."""
        shares = torch.zeros(len(listed.entities), looked.rows.shape[1], device=self._device)
        return shares.index_add_(0, torch.from_numpy(listed.owners).to(self._device), looked.rows)

    def attention(
        self, last: npt.NDArray[np.float16], query: npt.NDArray[np.float16], phones: npt.NDArray[np.float16] | None,
        entities: EntityList,
    ) -> npt.NDArray[np.float32]:  # fmt: skip
        """Return [E + 1, T]: every entity's share of each frame's attention, and last that of ``<no-bias>``."""
        listed = self.encode(entities)
        if listed is None:
            return np.repeat(np.eye(1, len(entities) + 1, len(entities), dtype=np.float32).T, len(last), axis=1)
        with torch.inference_mode():
            looked = self.look(self.frames(last, query, phones), listed.catalog)
            shares = torch.cat([self._by_entity(looked, listed), looked.no_bias[None]])
        return np.asarray(shares.cpu().numpy(), np.float32)

    def _biased(self, frames: Frames, looked: Looked) -> torch.Tensor:
        """Return [T, V] log-probs with the attention's context added."""
        adapter = self._adapter
        context = looked.expected @ adapter.directions + adapter.projection(looked.value)  # [T, D]
        gate = adapter.gate_of(frames, looked.no_bias[None])[0]  # [T, 1]
        biased: torch.Tensor = adapter.output(frames.last[0] + gate * context)
        return biased


def replace_frames(
    first: SparseLogProbs, changed: npt.NDArray[np.int64], log_probs: npt.NDArray[np.float32],
    expected: npt.NDArray[np.float32],
) -> SparseLogProbs:  # fmt: skip
    """Return ``first`` with the candidates of the frames ``changed`` [n] taken from ``log_probs`` [n, V].

    The best are kept, and before them every subword with a share of KEPT_SHARE in ``expected`` [n, V].
    """
    count = first.ids.shape[1]
    ranked = log_probs + np.where(expected >= KEPT_SHARE, np.float32(1e3), np.float32(0))
    chosen = np.argsort(-ranked, axis=1, kind="stable")[:, :count]
    values = np.take_along_axis(log_probs, chosen, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    ids, kept = first.ids.copy(), first.values.copy()
    ids[changed] = np.take_along_axis(chosen, order, axis=1)
    kept[changed] = np.take_along_axis(values, order, axis=1)
    return SparseLogProbs(ids, kept)
