"""Wav2Vec2ConformerForCTC made from Whisper's encoder, and a forward pass of it that trains fast on CPUs.

The class is transformers'; its weights begin as those of the encoder of the shipped model:

- a block of Whisper is attention, then a feed-forward; a block of the Conformer is half a feed-forward, attention, a
  convolution, half a feed-forward, a norm. The first feed-forward stays zero; the convolution begins as zero and is
  trained; the norm keeps the scale that the residual stream has in most frames.
- Whisper knows positions by sinusoids that are added once, a Conformer by the distance of two frames in every
  attention (Dai et al. 2019, section 3.3). What positions add to Whisper's attention at each distance is measured on
  speech, and ``linear_pos`` begins as its fit (``fit_distances``).
- Whisper hears a log-mel spectrogram, wav2vec 2.0 samples: the front begins as windowed sines and cosines and is taught
  to write the spectrogram (``train.py front``).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from transformers import Wav2Vec2ConformerConfig, Wav2Vec2ConformerForCTC

from pipeline.acoustic.features import FFT_SAMPLES, HOP_SAMPLES, mel_filters
from pipeline.acoustic.whisper_encoder import WhisperEncoder

WIDTH, HEADS, LAYERS = 512, 8, 6
_POSITIONS = 750  # 15 s: what positions have in common is their mean over so many
_FARTHEST = 1500  # frames: 30 s, longer than any utterance; distances beyond what was measured get the edge's score
_EDGE = 100  # frames at the edge of what was measured: few pairs are so far apart, so their mean is taken
_EDGE_COUNT = 30.0  # pairs that such a mean counts for at each distance
BINS = FFT_SAMPLES // 2
SHIFT = 200
"""Samples by which the centre of a frame lies later than that of Whisper's frame before: frame n here is centred at
320 n + 520, Whisper's frame n + 1 of audio that begins SHIFT samples later too."""
BANDS = 80
LIFT = 2.0
"""Added to the spectrogram (-1 to 1.5), so that GELU lets it pass."""
_LEVELS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # of a band's magnitude: where the units of the second layer bend
_KERNEL = 7  # frames that the convolution of a block sees
_BALLAST = 64  # channels that are constant, so that a layer norm hardly changes the scale of the others
_LOUD = 6.0  # of ballast, beside channels of deviation 1
_LITTLE = 32  # channels of the first two layers that are constant: a layer norm then tells loud from quiet
_QUIET = 0.5  # of these


def make(outputs: int) -> Any:
    """Return the network with new weights: 20 ms frames, ``outputs`` letters, the blank at 0."""
    bands = BANDS * len(_LEVELS)
    config = Wav2Vec2ConformerConfig(
        vocab_size=outputs,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH,
        conv_dim=(4 * BINS + _LITTLE, bands + _LITTLE, 192, WIDTH + _BALLAST, WIDTH + _BALLAST),
        conv_kernel=(FFT_SAMPLES, 1, 1, 3, 3),
        conv_stride=(HOP_SAMPLES, 1, 1, 1, 2),
        num_feat_extract_layers=5,
        conv_bias=True,
        feat_extract_norm="layer",
        conv_depthwise_kernel_size=_KERNEL,
        position_embeddings_type="relative",
        max_source_positions=1500,
        num_conv_pos_embeddings=2,  # transformers makes this layer and never runs it
        num_conv_pos_embedding_groups=WIDTH,
        mask_time_prob=0.0,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        layer_norm_eps=1e-5,
    )
    network = Wav2Vec2ConformerForCTC(config)
    for layer in network.wav2vec2_conformer.encoder.layers:
        nn.init.zeros_(layer.conv_module.pointwise_conv2.weight)
        nn.init.zeros_(layer.self_attn.pos_bias_u)
        nn.init.zeros_(layer.ffn1.output_dense.weight)
        nn.init.zeros_(layer.ffn1.output_dense.bias)
    return network.eval()


# --- the forward pass: what transformers computes in eval mode, channels last


def front(network: Any, samples: torch.Tensor, layers: int | None = None) -> torch.Tensor:
    """Return [B, T, C] of normalised samples [B, N]: all of the front, or its first ``layers`` convolutions."""
    base = network.wav2vec2_conformer
    x = samples[:, :, None]
    for block in base.feature_extractor.conv_layers[:layers]:
        size, step = block.conv.kernel_size[0], block.conv.stride[0]
        windows = x.unfold(1, size, step).flatten(2) if size > 1 else x  # [B, T, C * size]
        x = block.layer_norm(nn.functional.linear(windows, block.conv.weight.flatten(1), block.conv.bias))
        x = nn.functional.gelu(x)
    if layers is not None:
        return x
    projected: torch.Tensor = base.feature_projection.projection(base.feature_projection.layer_norm(x))
    return projected


def frames_of(samples: torch.Tensor) -> torch.Tensor:
    """Return how many frames of 20 ms so many samples give."""
    mel = (samples - FFT_SAMPLES) // HOP_SAMPLES + 1
    return ((mel - 2) - 3) // 2 + 1


def encode(
    network: Any, x: torch.Tensor, lengths: torch.Tensor, first: int = 0, end: int | None = None
) -> list[torch.Tensor]:
    """Return the state after every block, and the last one normalised, of projected features [B, T, 512].

    first: blocks that ``x`` is behind already; end: the block, counted from 0, to stop before
    """
    encoder = network.wav2vec2_conformer.encoder
    inside = torch.arange(x.shape[1])[None] < lengths[:, None]  # [B, T]
    x = x * inside[:, :, None]
    distances = encoder.embed_positions(x)
    mask = None if bool(inside.all()) else inside[:, None, None]
    states = []
    for block in encoder.layers[first:end]:
        x = block_forward(block, x, mask, inside, distances)
        states.append(x)
    return [*states, encoder.layer_norm(x)]


def block_forward(
    block: Any, x: torch.Tensor, mask: torch.Tensor | None, inside: torch.Tensor, distances: torch.Tensor
) -> torch.Tensor:
    """Return one block's output [B, T, 512]."""
    x = x + 0.5 * _first(block, x)
    x = x + _attention(block.self_attn, block.self_attn_layer_norm(x), mask, distances)
    x = x + _convolution(block.conv_module, x, inside)
    x = x + 0.5 * _feed_forward(block.ffn2, block.ffn2_layer_norm(x))
    out: torch.Tensor = block.final_layer_norm(x)
    return out


def _first(block: Any, x: torch.Tensor) -> torch.Tensor:
    """Return what the first feed-forward says; it costs nothing while it is zero, as it begins."""
    silent = not (bool(block.ffn1.output_dense.weight.any()) or bool(block.ffn1.output_dense.bias.any()))
    return torch.zeros(()) if silent else _feed_forward(block.ffn1, block.ffn1_layer_norm(x))


def _feed_forward(part: Any, x: torch.Tensor) -> torch.Tensor:
    out: torch.Tensor = part.output_dense(nn.functional.gelu(part.intermediate_dense(x)))
    return out


def _attention(part: Any, x: torch.Tensor, mask: torch.Tensor | None, distances: torch.Tensor) -> torch.Tensor:
    size = (*x.shape[:2], HEADS, -1)
    query, key, value = (
        layer(x).view(size).transpose(1, 2).contiguous() for layer in (part.linear_q, part.linear_k, part.linear_v)
    )
    bias = distance_scores(part, query, distances)
    scores = ((query + part.pos_bias_u[None, :, None]) @ key.transpose(-1, -2)) * part.scaling + bias
    if mask is not None:
        scores = scores.masked_fill(~mask, -3e4)
    with torch.autocast("cpu", enabled=False):  # which would make the softmax float32
        mixed = scores.to(value.dtype).softmax(-1) @ value
    out: torch.Tensor = part.linear_out(mixed.transpose(1, 2).reshape(x.shape))
    return out


def distance_scores(part: Any, query: torch.Tensor, distances: torch.Tensor) -> torch.Tensor:
    """Return [B, H, T, T], what the distance of two frames adds to their score (Dai et al. 2019, appendix B)."""
    frames = query.shape[2]
    places = part.linear_pos(distances).view(2 * frames - 1, HEADS, -1).transpose(0, 1)  # [H, 2T - 1, d]
    scores = (query + part.pos_bias_v[None, :, None]) @ places.transpose(-1, -2) * part.scaling
    # Row i begins at distance T - 1 and wants to begin at distance i: as a view, each row one further left.
    scores = scores.contiguous()
    batch, heads, _, width = scores.shape
    strides = (heads * frames * width, frames * width, width - 1, 1)
    return scores.as_strided((batch, heads, frames, frames), strides, scores.storage_offset() + frames - 1)


def _convolution(part: Any, x: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    y = nn.functional.linear(part.layer_norm(x), part.pointwise_conv1.weight[:, :, 0])
    y = nn.functional.glu(y, -1) * inside[:, :, None]
    side = part.depthwise_conv.padding[0]
    padded = nn.functional.pad(y, (0, 0, side, side))
    frames, weight = x.shape[1], part.depthwise_conv.weight[:, 0]  # [C, K]
    mixed = sum(padded[:, at : at + frames] * weight[:, at].to(y.dtype) for at in range(weight.shape[1]))
    norm = part.batch_norm
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    mixed = mixed * scale.to(y.dtype) + (norm.bias - norm.running_mean * scale).to(y.dtype)
    out: torch.Tensor = nn.functional.linear(nn.functional.gelu(mixed), part.pointwise_conv2.weight[:, :, 0])
    return out


# --- how it begins


def begin_front(network: Any, deviation: torch.Tensor) -> None:
    """Give the front's first layers windowed sines and cosines, and bands of them.

    deviation: [200] of the spectrum's bins 1 to 200 in normalised speech, so that no band is drowned
    """
    layers = network.wav2vec2_conformer.feature_extractor.conv_layers
    times = torch.arange(FFT_SAMPLES) - FFT_SAMPLES / 2
    angles = 2 * math.pi * torch.arange(1, BINS + 1)[:, None] * times / FFT_SAMPLES
    waves = torch.cat([angles.cos(), angles.sin()]) * torch.hann_window(FFT_SAMPLES) / deviation.repeat(2)[:, None]
    filters = torch.from_numpy(mel_filters()).float()[:, 1:] * deviation  # [80, 200] of what the first layer says
    filters = filters / filters.sum(1, keepdim=True)
    bands = torch.cat([filters.repeat(1, 4) * level for level in _LEVELS])  # [80 levels, 4 bins]
    constant = torch.tensor([_QUIET, -_QUIET]).repeat(_LITTLE // 2)
    with torch.no_grad():
        for layer, rows in ((layers[0], torch.cat([waves, -waves])), (layers[1], bands)):
            layer.conv.weight.zero_()
            layer.conv.weight[: len(rows)].view(len(rows), -1)[:, : rows.shape[1]].copy_(rows)
            layer.conv.bias.zero_()
            layer.conv.bias[len(rows) :].copy_(constant)
        layers[2].conv.bias[:BANDS] += LIFT


def begin_top_of_front(network: Any, whisper: WhisperEncoder) -> None:
    """Make the last two convolutions those of Whisper, on a spectrogram in the first 80 channels of the layer before.

    Ballast, channels that are constant, holds the layer norms' scale nearly still.
    """
    layers = network.wav2vec2_conformer.feature_extractor.conv_layers
    projection = network.wav2vec2_conformer.feature_projection
    with torch.no_grad():
        for layer, source in ((layers[3], whisper.conv1), (layers[4], whisper.conv2)):
            layer.conv.weight.zero_()
            layer.conv.bias.zero_()
            inputs = source.weight.shape[1]
            layer.conv.weight[:WIDTH, :inputs].copy_(source.weight)
            layer.conv.bias[:WIDTH].copy_(source.bias)
            loud = torch.tensor([_LOUD, -_LOUD]).repeat(_BALLAST // 2)
            layer.conv.bias[WIDTH:].copy_(loud)
            layer.layer_norm.weight.fill_(_LOUD * math.sqrt(_BALLAST / (WIDTH + _BALLAST)))
            layer.layer_norm.bias.zero_()
        layers[3].conv.bias[:WIDTH] -= LIFT * whisper.conv1.weight.sum((1, 2))
        # After GELU half of the ballast is _LOUD and half is zero: this undoes the projection's norm.
        mean = _LOUD * _BALLAST / 2 / (WIDTH + _BALLAST)
        deviation = math.sqrt(_LOUD**2 * _BALLAST / 2 / (WIDTH + _BALLAST) - mean**2)
        projection.projection.weight.zero_()
        projection.projection.weight[:, :WIDTH].copy_(torch.eye(WIDTH) * deviation)
        projection.projection.bias.fill_(mean)


def begin_blocks(network: Any, whisper: WhisperEncoder) -> None:
    """Give every block the attention and the feed-forward of Whisper's."""
    blocks = network.wav2vec2_conformer.encoder.layers
    with torch.no_grad():
        for block, source in zip(blocks, whisper.layers, strict=True):
            for name in ("q", "k", "v"):
                layer = getattr(source.self_attn, f"{name}_proj")
                getattr(block.self_attn, f"linear_{name}").load_state_dict(_with_bias(layer))
            block.self_attn.linear_out.load_state_dict(source.self_attn.out_proj.state_dict())
            block.self_attn_layer_norm.load_state_dict(source.self_attn_layer_norm.state_dict())
            block.ffn2_layer_norm.load_state_dict(source.final_layer_norm.state_dict())
            block.ffn2.intermediate_dense.load_state_dict(source.fc1.state_dict())
            block.ffn2.output_dense.weight.copy_(2 * source.fc2.weight)  # a Conformer halves what it says
            block.ffn2.output_dense.bias.copy_(2 * source.fc2.bias)
    network.wav2vec2_conformer.encoder.layer_norm.load_state_dict(whisper.layer_norm.state_dict())


def _with_bias(layer: nn.Linear) -> dict[str, torch.Tensor]:
    bias = torch.zeros(layer.out_features) if layer.bias is None else layer.bias.detach()
    return {"weight": layer.weight.detach(), "bias": bias}


def fit_distances(
    part: Any, wanted: torch.Tensor, counts: torch.Tensor, distances: torch.Tensor, queries: torch.Tensor
) -> None:
    """Make ``linear_pos`` and ``pos_bias_v`` add ``wanted`` [H, D] to the scores at the distances [D, 512].

    counts:  [D] of how many pairs of frames each was measured
    queries: [H, N, d] of speech

    In each head one direction carries it, against a large bias: that in which queries say least.
    """
    large = 16.0
    silent = torch.linalg.eigh(queries.transpose(1, 2).double() @ queries.double()).eigenvectors[:, :, 0].float()
    weights = counts.double().sqrt()[:, None]
    matrix = distances.double() * weights
    ridge = matrix.T @ matrix + 1e-3 * counts.sum() * torch.eye(matrix.shape[1], dtype=torch.double) / 512
    target = (wanted.double() / part.scaling).T * weights  # [D, H]
    solution = torch.linalg.solve(ridge, matrix.T @ target)  # [512, H]
    with torch.no_grad():
        nn.init.normal_(part.linear_pos.weight, std=1e-3)
        part.pos_bias_v.zero_()
        rows = part.linear_pos.weight.view(HEADS, -1, WIDTH)
        rows += silent[:, :, None] * (solution.T / large).float()[:, None]
        part.pos_bias_v.copy_(large * silent)


def fit_to(network: Any, whisper: WhisperEncoder, embedded: torch.Tensor) -> list[float]:
    """Make the blocks say what Whisper's say, block by block, as far as scales and distances can; return how near.

    embedded: [B, T, 512] of Whisper's convolutions on speech of equal length, without positions

    The positions' mean joins the front's bias. Returned is the cosine of the states after each block, each less its
    mean over utterances: what positions have in common is not compared.
    """
    frames = embedded.shape[1]
    positions = whisper.embed_positions.weight[:frames]
    theirs, ours = embedded + positions, embedded + mean_position(whisper)
    encoder = network.wav2vec2_conformer.encoder
    inside = torch.ones(embedded.shape[:2], dtype=torch.bool)
    distances = encoder.embed_positions(embedded)
    far = encoder.embed_positions(embedded.new_zeros(1, _FARTHEST, WIDTH))[0]
    near = []
    with torch.no_grad():
        network.wav2vec2_conformer.feature_projection.projection.bias += mean_position(whisper)
        for block, source in zip(encoder.layers, whisper.layers, strict=True):
            x = ours + 0.5 * _first(block, ours)
            block.self_attn_layer_norm.weight *= (_spread(x) / _spread(theirs)).median()
            _fit_block(block, source, x, theirs, far)
            middle = theirs + source.self_attn(source.self_attn_layer_norm(theirs), None)
            theirs = source(theirs, None)
            x = x + _attention(block.self_attn, block.self_attn_layer_norm(x), None, distances)
            block.ffn2_layer_norm.weight *= (_spread(x) / _spread(middle)).median()
            block.final_layer_norm.weight.fill_(1.0)
            block.final_layer_norm.bias.zero_()
            before = block.final_layer_norm.register_forward_pre_hook(_keep_scale)
            ours = block_forward(block, ours, None, inside, distances)
            before.remove()
            near.append(float(nn.functional.cosine_similarity(_moved(ours), _moved(theirs), dim=-1).mean()))
    return near


def mean_position(whisper: WhisperEncoder) -> torch.Tensor:
    """Return [512], what the front says in place of positions."""
    return whisper.embed_positions.weight[:_POSITIONS].mean(0)


def _fit_block(block: Any, source: Any, x: torch.Tensor, theirs: torch.Tensor, distances: torch.Tensor) -> None:
    """Fit what distances add to the scores: the mean difference of Whisper's scores and those of content alone."""
    frames = x.shape[1]
    part, wanted = block.self_attn, torch.zeros(HEADS, 2 * frames - 1)
    normed, their_normed = block.self_attn_layer_norm(x), source.self_attn_layer_norm(theirs)
    content = _scores(part.linear_q(normed), part.linear_k(normed))
    scores = _scores(source.self_attn.q_proj(their_normed), source.self_attn.k_proj(their_normed))
    missing = (scores - scores.mean(-1, keepdim=True)) - (content - content.mean(-1, keepdim=True))
    missing = missing.mean(0)  # [H, T, T]
    for at in range(2 * frames - 1):  # distances begin with the query furthest to the right
        wanted[:, at] = missing.diagonal(at - frames + 1, 1, 2).mean(-1)
    counts = frames - (torch.arange(2 * frames - 1) - frames + 1).abs()
    queries = part.linear_q(normed).view(-1, HEADS, WIDTH // HEADS).transpose(0, 1)
    fit_distances(part, *_beyond(wanted, counts), distances, queries)


def _beyond(wanted: torch.Tensor, counts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scores [H, D] and counts [D] of all distances: what was not measured is as the edge of what was.

    Without, the fit is free there, and utterances longer than those measured attend to noise.
    """
    more = _FARTHEST - (wanted.shape[1] + 1) // 2
    ends = [wanted[:, :_EDGE], wanted[:, -_EDGE:]]
    weights = [counts[:_EDGE], counts[-_EDGE:]]
    sides = [
        ((end * weight).sum(1) / weight.sum())[:, None].expand(-1, more)
        for end, weight in zip(ends, weights, strict=True)
    ]
    side = torch.full((more,), _EDGE_COUNT)
    return torch.cat([sides[0], wanted, sides[1]], 1), torch.cat([side, counts.float(), side])


def _scores(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    """Return [B, H, T, T]."""
    heads = [one.view(*one.shape[:2], HEADS, -1).transpose(1, 2) for one in (query, key)]
    return heads[0] @ heads[1].transpose(-1, -2) / math.sqrt(heads[0].shape[-1])


def _spread(x: torch.Tensor) -> torch.Tensor:
    return x.std(-1)


def _keep_scale(norm: Any, inputs: tuple[torch.Tensor]) -> None:
    norm.weight.fill_(float(_spread(inputs[0]).median()))


def _moved(x: torch.Tensor) -> torch.Tensor:
    return x - x.mean(0)
