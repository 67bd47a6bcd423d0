"""The contextual adapter: attention from the audio to an entity list, in front of a frozen CTC head.

Every entity is spelled in the base's subwords. A BiLSTM reads the spelling; each subword gets a key, to which the
vector of the whole entity is added. A frame's query is a learned weighted sum of the base's tapped levels and its
last one. Attention goes to subwords of entities or to ``<no-bias>``, in two steps:

1. match: m[t, n, j], how well frame t sounds like subword j of entity n: query times key, plus the base's own
   log-probability of that subword. Positive speaks for the entity, negative against it.
2. chain: a subword is believed as far as its neighbours are heard around it. With w frames between subwords at most,

       left[t, n, j]  = m[t, n, j] + max over 1 <= d <= w of left[t - d, n, j - 1]
       right[t, n, j] = m[t, n, j] + max over 1 <= d <= w of right[t + d, n, j + 1]
       score          = left + right - m:  the best reading of the whole entity that passes through (t, j)

   This is the Viterbi recursion of keyword spotting, here inside the attention and trained through. Where the base
   has a phone head, the same recursion over each entity's pronunciation, on the phone log-probabilities, is added:
   a base that misspells a rare word has usually heard its phones.

The softmax over all subwords of all entities and ``<no-bias>`` says which subword of which entity is being spoken.
Its context, the expected subword and a value vector, is gated, projected and added to the last state before the
base's own output layer (Sathyendra et al. 2022, "Contextual adapters", with attention to subwords in place of whole
entities: one vector per entity cannot say which subword comes next).
"""

import dataclasses
from collections.abc import Sequence

import torch
from torch import nn

from pipeline.acoustic.adapter_chain import NEVER, chain_scores, latest_max

_LEAST_LOG_PROB = -8.0  # log-probabilities of the base are raised to this: less tells nothing about a rare word
_NEUTRAL_LOG_PROB = 4.0  # added: at -4 nats the base speaks neither for nor against a subword of a listed word
_ODDS_RANGE = 10.0
_NEAR = 4  # frames by which the peak of a phone and that of its subword may differ; a power of two


@dataclasses.dataclass(frozen=True)
class AdapterShape:
    """Shapes of one adapter; the first three are those of its base."""

    levels: int  # tapped levels and the last one, L + 1
    width: int  # D, of the base's states
    vocabulary: int  # V
    blank: int = 0  # id of the CTC blank
    phones: int = 0  # P, columns of the phone head with the blank; 0 for a base without one
    query: int = 128  # Q, width of the list-independent query that is cached beside the last state
    frame: int = 192  # width of the frame encoder
    kernel: int = 9  # frames that its convolution sees
    heads: int = 2
    key: int = 64  # per head
    embedding: int = 128
    hidden: int = 96  # of the BiLSTM, per direction
    value: int = 64
    window: int = 16  # w, most frames from one subword of an entity to the next; a power of two
    phone_window: int = 8  # the same between phones
    dropout: float = 0.1


@dataclasses.dataclass(frozen=True)
class Catalog:
    """Encoded spellings: N of them, the longest of J subwords, padded.

    tokens: [N, J] subword ids; sizes: [N]
    phones: [N, I] columns of the phone head; phone_sizes: [N], 0 where no pronunciation is known
    keys:   [H, J, N, K]; values: [J, N, U]

    Where every utterance of a batch has spellings of its own, all of these have a dimension B in front; what pads the
    fewer ones has size 0.
    """

    tokens: torch.Tensor
    sizes: torch.Tensor
    phones: torch.Tensor
    phone_sizes: torch.Tensor
    keys: torch.Tensor
    values: torch.Tensor

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def is_own(self) -> bool:
        """Whether every utterance has spellings of its own."""
        return self.sizes.dim() == 2

    def said_by(self, log_probs: torch.Tensor) -> torch.Tensor:
        """Return [B, T, J, N] of [B, T, V]: what belongs to each subword."""
        return _columns(log_probs, self.tokens)

    def heard_by(self, phones: torch.Tensor) -> torch.Tensor:
        """Return [B, T, I, N] of [B, T, P]: what belongs to each phone."""
        return _columns(phones, self.phones)

    def rows(self, index: torch.Tensor) -> "Catalog":
        """Return the spellings at ``index`` [n], cut to the longest of them."""
        longest, sounds = int(self.sizes[index].max()), int(self.phone_sizes[index].max())
        return Catalog(
            self.tokens[index, :longest],
            self.sizes[index],
            self.phones[index, :sounds],
            self.phone_sizes[index],
            self.keys[:, :longest, index],
            self.values[:longest, index],
        )


def _columns(values: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Return [B, T, J, N], the columns ``ids`` [N, J] or [B, N, J] of ``values`` [B, T, V]."""
    batch, frames, _ = values.shape
    size, flat = (ids.shape[-1], ids.shape[-2]), ids.transpose(-1, -2).flatten(-2)  # [J * N] or [B, J * N]
    if ids.dim() == 2:
        return values[:, :, flat].view(batch, frames, *size)
    return values.gather(2, flat[:, None].expand(-1, frames, -1)).view(batch, frames, *size)


@dataclasses.dataclass(frozen=True)
class Spelled:
    """Spellings as padded ids: tokens [N, J], sizes [N] of at least 1, phones [N, I], phone_sizes [N]."""

    tokens: torch.Tensor
    sizes: torch.Tensor
    phones: torch.Tensor
    phone_sizes: torch.Tensor

    def to(self, device: torch.device) -> "Spelled":
        """Return the same on ``device``."""
        return Spelled(*(getattr(self, field.name).to(device) for field in dataclasses.fields(self)))


@dataclasses.dataclass(frozen=True)
class Attention:
    """Where every frame looks.

    subwords: [B, T, J, N] share of each subword of each spelling, averaged over heads
    no_bias:  [B, T] share of ``<no-bias>``; the two add up to 1
    """

    subwords: torch.Tensor
    no_bias: torch.Tensor


@dataclasses.dataclass(frozen=True)
class Frames:
    """What the adapter knows of the audio before it sees a list.

    last: [B, T, D]; log_probs: [B, T, V] of the base; phones: [B, T, P] log-probs or None
    encoded: [B, T, F]; queries: [B, H, T, K]; no_bias: [B, H, T, 1]; padding: [B, T] or None where there is none
    """

    last: torch.Tensor
    log_probs: torch.Tensor
    phones: torch.Tensor | None
    encoded: torch.Tensor
    queries: torch.Tensor
    no_bias: torch.Tensor
    padding: torch.Tensor | None = None


class OutputLayer(nn.Module):
    """The base's own CTC output layer, frozen; ``fold`` adds up pieces that are written alike (negative: never)."""

    weight: torch.Tensor  # [R, D], R raw pieces
    bias: torch.Tensor  # [R]
    fold: torch.Tensor  # [R] raw piece -> id in 0..V-1, or negative

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, fold: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight.detach().float().clone())
        self.register_buffer("bias", bias.detach().float().clone())
        self.register_buffer("fold", fold.detach().long().clone())
        self._plain = bool((fold == torch.arange(len(fold))).all())
        self._kept: torch.Tensor | None = None

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Return [..., V] log-probs of states [..., D]."""
        logits = nn.functional.linear(states, self.weight, self.bias)  # [..., R]
        if self._plain:
            return logits.log_softmax(-1)
        if self._kept is None or self._kept.device != logits.device:  # found once, as a GPU would be waited for
            self._kept = torch.nonzero(self.fold >= 0)[:, 0]
        kept = self._kept
        probs = logits[..., kept].softmax(-1)
        summed = torch.zeros_like(logits).index_add(-1, self.fold[kept], probs)
        return summed.clamp_min(1e-9).log()

    def directions(self) -> torch.Tensor:
        """Return [V, D]: added to a state, row v raises piece v and moves the others as little as it can."""
        centred = self.weight - self.weight.mean(0)
        dual = torch.linalg.pinv(centred).T  # [R, D]
        ids, counts = torch.arange(len(self.fold)), self.fold.clamp(min=0)
        directions = torch.zeros_like(dual).index_add(0, counts[self.fold >= 0], dual[ids[self.fold >= 0]])
        return directions


class CatalogEncoder(nn.Module):
    """Spellings to keys and values."""

    def __init__(self, shape: AdapterShape, rows: torch.Tensor) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.embedding)
        mixing = torch.randn(shape.width, shape.embedding) / shape.width**0.5
        with torch.no_grad():  # pieces that the base confuses begin as neighbours
            mixed = rows[: shape.vocabulary] @ mixing
            self.embedding.weight.copy_(mixed / mixed.std().clamp(min=1e-6))
        self.reader = nn.LSTM(shape.embedding, shape.hidden, batch_first=True, bidirectional=True)
        self.whole = nn.Linear(2 * shape.hidden, shape.heads * shape.key)
        self.key = nn.Linear(2 * shape.hidden + shape.embedding, shape.heads * shape.key)
        self.value = nn.Linear(2 * shape.hidden + shape.embedding, shape.value)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, spelled: "Spelled", lengths: torch.Tensor | None = None) -> Catalog:
        """Encode padded spellings; ``lengths`` are their sizes on the host, where a device would be waited for."""
        tokens, sizes = spelled.tokens, spelled.sizes
        lengths = sizes.cpu() if lengths is None else lengths
        count, longest = tokens.shape
        embedded = self.embedding(tokens)  # [N, J, E]
        packed = nn.utils.rnn.pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        read, _ = nn.utils.rnn.pad_packed_sequence(self.reader(packed)[0], batch_first=True, total_length=longest)
        inside = (torch.arange(longest, device=sizes.device) < sizes[:, None])[..., None]  # [N, J, 1]
        entity = self.whole(read.masked_fill(~inside, NEVER).amax(1))  # [N, H * K], one vector per entity
        both = self.dropout(torch.cat([read, embedded], -1))  # [N, J, 2 * hidden + E]
        keys = (self.key(both) + entity[:, None]).view(count, longest, self.shape.heads, self.shape.key)
        values = self.value(both).transpose(0, 1)
        return Catalog(tokens, sizes, spelled.phones, spelled.phone_sizes, keys.permute(2, 1, 0, 3), values)


class ContextualAdapter(nn.Module):
    """Trained beside a frozen base; holds a copy of the base's output layer and nothing else of it."""

    def __init__(self, shape: AdapterShape, output: OutputLayer) -> None:
        super().__init__()
        self.shape, self.output = shape, output
        self.level_weights = nn.Parameter(torch.zeros(shape.levels))
        self.query = nn.Linear(shape.width, shape.query)
        self.from_query = nn.Linear(shape.query, shape.frame)
        self.from_last = nn.Linear(shape.width, shape.frame, bias=False)
        padding = shape.kernel // 2
        self.neighbours = nn.Conv1d(shape.frame, shape.frame, shape.kernel, padding=padding, groups=shape.frame)
        self.frame_norm = nn.LayerNorm(shape.frame)
        self.queries = nn.Linear(shape.frame, shape.heads * shape.key)
        self.no_bias = nn.Linear(shape.frame, shape.heads)
        self.catalog = CatalogEncoder(shape, output.weight)
        self.trust = nn.Parameter(torch.full((shape.heads,), 0.5))  # weight of the base's own log-probabilities
        self.chain_weight = nn.Parameter(torch.ones(shape.heads))
        self.match_weight = nn.Parameter(torch.full((shape.heads,), 0.5))
        self.phone_weight = nn.Parameter(torch.full((shape.heads,), 0.5))
        self.phone_neutral = nn.Parameter(torch.tensor(_NEUTRAL_LOG_PROB))
        self.directions = nn.Parameter(output.directions()[: shape.vocabulary])  # [V, D]
        self.projection = nn.Linear(shape.value, shape.width, bias=False)
        self.gate = nn.Sequential(nn.Linear(shape.frame + 3, 64), nn.SiLU(), nn.Linear(64, 1))
        self.dropout = nn.Dropout(shape.dropout)
        self._begin()

    def _begin(self) -> None:
        """Begin with a sure ``<no-bias>`` and a modest raise of what is attended to."""
        nn.init.zeros_(self.projection.weight)
        nn.init.constant_(self.no_bias.bias, 4.0)
        final = self.gate[2]
        nn.init.constant_(final.bias, 4.0)  # type: ignore[arg-type]

    def scalars(self) -> set[str]:
        """Return the names of the parameters that weigh whole terms, one number per head each."""
        terms = {"trust", "chain_weight", "match_weight", "phone_weight", "phone_neutral"}
        return terms | {"no_bias.bias", "gate.2.bias", "level_weights"}

    def query_of(self, states: torch.Tensor) -> torch.Tensor:
        """Return the list-independent query [..., T, Q] of states [..., L + 1, T, D]; this is what is cached."""
        weights = self.level_weights.softmax(0)
        mixed = torch.einsum("l,...ltd->...td", weights, states)
        query: torch.Tensor = self.query(mixed)
        return query

    def frames(
        self, last: torch.Tensor, query: torch.Tensor, lengths: torch.Tensor, phones: torch.Tensor | None = None
    ) -> Frames:
        """Encode last states [B, T, D] and queries [B, T, Q] of utterances of ``lengths`` [B] frames.

        ``phones`` [B, T, P] are the base's phone log-probs, where it has a phone head.
        """
        batch, count, _ = last.shape
        valid = (torch.arange(count, device=last.device) < lengths[:, None])[..., None]  # [B, T, 1]
        x = nn.functional.silu(self.from_query(query) + self.from_last(last)) * valid  # [B, T, F]
        x = self.dropout(self.frame_norm(x + self.neighbours(x.transpose(1, 2)).transpose(1, 2)))
        queries = self.queries(x).view(batch, count, self.shape.heads, self.shape.key).transpose(1, 2)
        padding = None if batch == 1 else ~valid[..., 0]  # an utterance alone has none
        no_bias = self.no_bias(x).transpose(1, 2)[..., None]
        return Frames(last, self.output(last), phones, x, queries, no_bias, padding)

    def scores(self, frames: Frames, catalog: Catalog, members: torch.Tensor | None) -> torch.Tensor:
        """Return attention scores [B, H, J, T, N]; ``members`` [B, N] says whose list holds which spelling."""
        keys = (catalog.keys if catalog.is_own else catalog.keys[None]) * self.shape.key**-0.5  # [1 or B, H, J, N, K]
        match = frames.queries[:, :, None] @ keys.transpose(-1, -2)  # [B, H, J, T, N]
        heard = frames.log_probs.clamp(min=_LEAST_LOG_PROB) + _NEUTRAL_LOG_PROB  # [B, T, V]
        match = match + self.trust[:, None, None, None] * catalog.said_by(heard).transpose(1, 2)[:, None]
        if frames.padding is not None:  # nothing is said there, whatever the base's log-probs of padding are
            match = match.masked_fill(frames.padding[:, None, None, :, None], NEVER)
        chain = chain_scores(match, catalog.sizes, self.shape.window)
        scores = self.chain_weight[:, None, None, None] * chain + self.match_weight[:, None, None, None] * match
        if frames.phones is not None and catalog.phones.shape[-1]:
            weight = self.phone_weight[:, None, None, None]
            scores = scores + weight * self._heard_phones(frames.phones, frames.padding, catalog)[:, None, None]
        scores = torch.where(chain > NEVER / 2, scores, NEVER)
        return scores if members is None else scores.masked_fill(~members[:, None, None, None], NEVER)

    def _heard_phones(self, phones: torch.Tensor, padding: torch.Tensor | None, catalog: Catalog) -> torch.Tensor:
        """Return [B, T, N], how well each pronunciation is heard around each frame; 0 where none is known."""
        heard = phones.clamp(min=_LEAST_LOG_PROB) + self.phone_neutral  # [B, T, P]
        if padding is not None:
            heard = heard.masked_fill(padding[..., None], NEVER)
        match = catalog.heard_by(heard)  # [B, T, I, N]
        chain = chain_scores(match.transpose(1, 2)[:, None], catalog.phone_sizes, self.shape.phone_window)
        best = chain[:, 0].amax(1)[:, None]  # [B, 1, T, N]
        near = torch.maximum(latest_max(best, _NEAR), latest_max(best.flip(2), _NEAR).flip(2))
        near = torch.maximum(near, best)[:, 0]  # phones peak some frames beside subwords
        known = catalog.phone_sizes > 0
        return torch.where(known[:, None] if catalog.is_own else known, near, 0.0)

    def attend(self, frames: Frames, catalog: Catalog, members: torch.Tensor | None = None) -> Attention:
        """Return where every frame looks; see ``scores`` for ``members``."""
        scores = self.scores(frames, catalog, members)
        all_scores = torch.cat([scores.transpose(2, 3).flatten(3), frames.no_bias], -1)  # [B, H, T, J * N + 1]
        shares = all_scores.softmax(-1).mean(1)  # [B, T, J * N + 1]
        batch, _, longest, count, spellings = scores.shape
        return Attention(shares[..., :-1].view(batch, count, longest, spellings), shares[..., -1])

    def bias(self, frames: Frames, attention: Attention, catalog: Catalog) -> torch.Tensor:
        """Return [B, T, D], what is added to the last state: gate * (expected subword + projected value)."""
        shares = attention.subwords.flatten(2)  # [B, T, J * N]
        expected = torch.zeros_like(frames.log_probs)  # [B, T, V]
        expected = expected.index_add(2, catalog.tokens.T.reshape(-1), shares)
        value = shares @ catalog.values.flatten(0, 1)  # [B, T, U]
        moved: torch.Tensor = expected @ self.directions + self.projection(value)
        return self.gate_of(frames, attention.no_bias) * moved

    def gate_of(self, frames: Frames, no_bias: torch.Tensor) -> torch.Tensor:
        """Return [B, T, 1], how strongly a frame is moved, from its audio and how sure the attention is."""
        odds = torch.log((1 - no_bias).clamp(min=1e-6)) - torch.log(no_bias.clamp(min=1e-6))
        base, blank = frames.log_probs, self.shape.blank
        is_blank = torch.arange(self.shape.vocabulary, device=base.device) == blank
        written = base.masked_fill(is_blank, float("-inf")).amax(-1)
        facts = [odds.clamp(-_ODDS_RANGE, _ODDS_RANGE), base[..., blank], written]
        hints = torch.stack(facts, -1) / _ODDS_RANGE
        strength: torch.Tensor = nn.functional.softplus(self.gate(torch.cat([frames.encoded, hints], -1)))
        return strength

    def forward(
        self, frames: Frames, catalog: Catalog, members: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, Attention]:
        """Return biased log-probs [B, T, V] and the attention."""
        attention = self.attend(frames, catalog, members)
        biased: torch.Tensor = self.output(frames.last + self.bias(frames, attention, catalog))
        return biased, attention


def pad_spellings(spellings: Sequence[tuple[Sequence[int], Sequence[int]]], blank: int) -> Spelled:
    """Pad subword ids and phone columns of each spelling; the phones may be none."""
    return Spelled(*_pad([tokens for tokens, _ in spellings], blank), *_pad([phones for _, phones in spellings], 0))


def _pad(rows: Sequence[Sequence[int]], filler: int) -> tuple[torch.Tensor, torch.Tensor]:
    sizes = [len(row) for row in rows]
    longest = max(sizes)
    padded = [[*row, *[filler] * (longest - len(row))] for row in rows]
    return torch.tensor(padded, dtype=torch.long).view(len(rows), longest), torch.tensor(sizes)
