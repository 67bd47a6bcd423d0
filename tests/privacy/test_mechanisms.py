"""Probabilities, draws and audits of every mechanism, against brute force and against what is claimed."""

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.errors import ConfigError
from pipeline.privacy.config import PrivacyConfig, Truncate
from pipeline.privacy.embeddings import load
from pipeline.privacy.exponential import Exponential
from pipeline.privacy.gumbel import TruncatedGumbel
from pipeline.privacy.mechanism import Mechanism, largest_ratio
from pipeline.privacy.mechanisms import build, kernel_density
from pipeline.privacy.release import Releaser
from pipeline.schemas import TRANSCRIPTS
from tests.support.privacy import chi_square, is_plausible, random_bits, small_embeddings

SMALL = small_embeddings()
EVERY = np.arange(len(SMALL), dtype=np.int32)
EXACT = [
    PrivacyConfig(epsilon=2.0, within="kary"),
    PrivacyConfig(epsilon=2.0, within="distance"),
    PrivacyConfig(epsilon=2.0, prior="kde", bandwidth=1.0),
    PrivacyConfig("tem", 3.0),
    PrivacyConfig("tem", 3.0, prior="kde", bandwidth=1.0),
    PrivacyConfig("laplace", 3.0, prior="kde", bandwidth=1.0),
    PrivacyConfig(epsilon=2.0),
]
TRUNCATED = [
    PrivacyConfig(name, 2.0, truncate=truncate)
    for name in ("grouped", "tem", "laplace")
    for truncate in (Truncate(distance=1.0), Truncate(neighbours=4))
]
GUMBEL = PrivacyConfig("truncated_gumbel", 600.0)


def label(config: PrivacyConfig) -> str:
    return f"{config.mechanism}-{config.inside}-{config.prior}-{config.truncate}"


def brute_force(mechanism: Mechanism) -> tuple[float, float]:
    """The largest loss over all pairs and outcomes, and the largest by distance."""
    logs = np.log(mechanism.probabilities(EVERY))
    losses = (logs[:, None, :] - logs[None, :, :]).max(axis=2)
    distances = mechanism.embeddings.distances(EVERY)
    apart = distances > 0
    return float(losses.max()), float((losses[apart] / distances[apart]).max())


@pytest.mark.parametrize("config", [*EXACT, *TRUNCATED, GUMBEL], ids=label)
def test_draws_come_as_often_as_they_should(config: PrivacyConfig) -> None:
    mechanism = build(config, SMALL)
    chosen, times = EVERY[::6], 3000
    expected = mechanism.probabilities(chosen)
    assert expected.sum(axis=1) == pytest.approx(1.0, abs=1e-9)
    drawn = mechanism.draw(np.repeat(chosen, times), random_bits(len(chosen) * times)).reshape(len(chosen), times)
    statistic = freedom = 0.0
    for row, line in zip(drawn, expected, strict=True):
        counts = np.bincount(row, minlength=len(SMALL))
        assert not counts[line == 0].any()
        one, degrees = chi_square(counts, line)
        statistic, freedom = statistic + one, freedom + degrees
    assert freedom == 0 or is_plausible(statistic, int(freedom))


@pytest.mark.parametrize("config", [config for config in EXACT if config.mechanism != "grouped"], ids=label)
def test_the_closed_form_of_the_audit_is_what_brute_force_finds(config: PrivacyConfig) -> None:
    mechanism = build(config, SMALL)
    audit = mechanism.audit()
    largest, per_distance = brute_force(mechanism)
    assert audit.all_pairs == pytest.approx(largest, abs=1e-9)
    assert audit.measured == pytest.approx(per_distance, abs=1e-9)
    assert not audit.exceeds


def test_an_audit_sees_a_mechanism_that_tells_more_than_it_claims() -> None:
    honest, loud = (Exponential(SMALL, PrivacyConfig("tem", epsilon), None) for epsilon in (3.0, 3.3))
    loud.cut = honest.cut = math.inf
    loud.epsilon = 3.3
    assert loud.audit().measured > honest.audit().measured
    truncated = build(PrivacyConfig("tem", 3.0, truncate=Truncate(neighbours=4)), SMALL).audit()
    assert truncated.exceeds
    assert truncated.all_pairs == math.inf


@pytest.mark.parametrize("config", EXACT[:3], ids=label)
def test_groups_tell_epsilon_inside_and_everything_outside(config: PrivacyConfig) -> None:
    mechanism = build(config, SMALL)
    probabilities = mechanism.probabilities(EVERY)
    worst = 0.0
    for group in SMALL.members:
        lines = probabilities[np.ix_(group, group)]
        worst = max(worst, float(np.log(lines.max(axis=0) / lines.min(axis=0)).max()))
        assert probabilities[group].sum() == pytest.approx(lines.sum())
    audit = mechanism.audit()
    assert audit.measured == pytest.approx(worst, abs=1e-9)
    assert audit.measured <= config.epsilon + 1e-9
    assert audit.all_pairs == math.inf


@pytest.mark.parametrize("within", ["nearest", "kary", "distance"])
@pytest.mark.parametrize("epsilon", [0.5, 3.0, 20.0])
def test_shipped_groups_tell_epsilon_and_never_more(epsilon: float, within: str) -> None:
    audit = build(PrivacyConfig(epsilon=epsilon, within=within), load()).audit()
    assert audit.measured <= epsilon + 1e-9
    assert not audit.exceeds


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 3.0, 10.0])
def test_the_default_tells_epsilon_between_any_two_words_and_no_group(epsilon: float) -> None:
    shipped = load()
    mechanism = build(PrivacyConfig(epsilon=epsilon), shipped)
    lines = mechanism.probabilities(np.arange(0, len(shipped), 61, dtype=np.int32))
    assert not lines[:, :200].any()
    assert not lines[:, 1200:].any(), "only common words come out"
    lines = lines[:, 200:1200]
    assert lines.sum(axis=1) == pytest.approx(1.0, abs=1e-12)
    audit = mechanism.audit()
    assert largest_ratio(lines) == pytest.approx(audit.all_pairs, abs=1e-9)
    assert audit.all_pairs == audit.measured == pytest.approx(epsilon, abs=1e-9)
    assert audit.charge == epsilon
    assert not audit.exceeds


@pytest.mark.parametrize("epsilon", [0.5, 3.0])
def test_the_default_writes_one_of_the_nearest_in_three_of_four_cases(epsilon: float) -> None:
    shipped = load()
    mechanism = build(PrivacyConfig(epsilon=epsilon), shipped)
    word = shipped.ids["river"]
    line = mechanism.probabilities(np.array([word], np.int32))[0]
    near = np.flatnonzero(line > line[200:1200].min() * 1.1)
    assert line[near].sum() == pytest.approx(0.75, abs=0.001)
    vectors = shipped.vectors[200:1200].astype(float)
    cosines = vectors @ shipped.vectors[word].astype(float) / np.linalg.norm(vectors, axis=1)
    assert sorted(near) == sorted(200 + np.argsort(-cosines)[: len(near)])
    assert {"water", "land"} < {shipped.words[at] for at in near}


@pytest.mark.parametrize("config", [PrivacyConfig(epsilon=2.0), PrivacyConfig(epsilon=2.0, within="kary")], ids=label)
def test_what_may_stand_behind_a_word_has_the_probabilities_of_the_channel(config: PrivacyConfig) -> None:
    mechanism = build(config, SMALL)
    columns = mechanism.probabilities(EVERY)
    for output in (0, 7, 33):
        words, chances = mechanism.behind(output)
        assert chances == pytest.approx(columns[words, output])
        assert columns[:, output].sum() == pytest.approx(chances.sum()), "no word is left out"


def test_releases_from_before_keep_their_noise() -> None:
    old = '{"bandwidth": 2.0, "epsilon": 3.0, "mechanism": "%s", "prior": "none", "truncate": null, "within": "%s"}'
    assert PrivacyConfig(within="kary").parameters == old % ("grouped", "kary")
    assert PrivacyConfig(within="distance").parameters == old % ("grouped", "distance")
    assert PrivacyConfig("tem").parameters == old % ("tem", "kary")
    assert '"kary"' in PrivacyConfig(prior="kde").parameters
    assert PrivacyConfig().parameters not in (old % ("grouped", "kary"), old % ("grouped", "nearest"))
    said = {"utterance_id": "u0", "text": "the old house near our river was very quiet when we came last winter"}
    rows = pa.Table.from_pylist([said], schema=TRANSCRIPTS)
    released = Releaser(PrivacyConfig(within="kary"), b"a key for tests, 32 bytes long..", {}).private(rows)
    assert released["text"].to_pylist() == [
        "the aunt attic near our foothills was very calming he would've went starting winter"
    ], "as written on the day before groups were an option"


@pytest.mark.parametrize(
    "more",
    [{"prior": "kde"}, {"truncate": Truncate(neighbours=4)}, {"mechanism": "tem"}],
    ids=lambda more: next(iter(more)),
)
def test_nearest_is_refused_with_what_it_has_not(more: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="within: nearest"):
        PrivacyConfig(within="nearest", **more)


def test_distances_use_the_whole_epsilon_of_every_group() -> None:
    shipped = load()
    mechanism = build(PrivacyConfig(epsilon=3.0, within="distance"), shipped)
    for group in shipped.members[::100]:
        told = largest_ratio(mechanism.probabilities(group)[:, group])
        assert 0.995 * 3.0 <= told <= 3.0 + 1e-9


@pytest.mark.parametrize(("epsilon", "kept"), [(2.0, 0.28), (3.0, 0.51), (5.0, 0.89)])
def test_groups_of_twenty_keep_the_share_that_they_should(epsilon: float, kept: float) -> None:
    shipped = load()
    words = np.array([group[0] for group in shipped.members if len(group) == 20][:50], np.int32)
    own = build(PrivacyConfig(epsilon=epsilon, within="kary"), shipped).probabilities(words)[
        np.arange(len(words)), words
    ]
    assert own == pytest.approx(kept, abs=0.005)


def test_shipped_groups_are_a_balanced_partition_of_near_words() -> None:
    shipped = load()
    sizes = np.bincount(shipped.groups)
    assert sizes.min() >= 15
    assert sizes.max() <= 26
    assert sizes.sum() == len(shipped) == len(set(shipped.words))
    inside = np.array([shipped.distances(group, group).mean() for group in shipped.members[::10]])
    strangers = shipped.distances(np.arange(0, len(shipped), 97, dtype=np.int32)).mean()
    sparsity = np.array([shipped.sparsity(group[:3]).mean() for group in shipped.members[::10]])
    assert inside.mean() < 0.8 * strangers
    assert np.corrcoef(inside, sparsity)[0, 1] > 0.7, "dense regions move little, sparse ones further"


def test_metropolis_and_hastings_find_the_same_as_the_exact_sampler() -> None:
    mechanism = build(PrivacyConfig("laplace", 3.0, prior="kde", bandwidth=1.0), SMALL)
    random, word, steps = np.random.default_rng(1), 7, 200_000
    target = kernel_density(SMALL, 1.0) * np.exp(-1.5 * SMALL.distances(EVERY[word : word + 1])[0])
    proposals, dice = random.integers(0, len(SMALL), steps), random.random(steps)
    at, visits = word, np.zeros(len(SMALL))
    for proposal, die in zip(proposals.tolist(), dice.tolist(), strict=True):
        if die * target[at] < target[proposal]:
            at = proposal
        visits[at] += 1
    exact = mechanism.probabilities(EVERY[word : word + 1])[0]
    assert np.abs(visits / steps - exact).sum() / 2 < 0.02


def test_truncation_leaves_lonely_words_as_they_are_and_says_how_many() -> None:
    distances = SMALL.distances(EVERY) + np.diag(np.full(len(SMALL), np.inf))
    lonely = int((distances.min(axis=1) > 0.8).sum())
    audit = build(PrivacyConfig("tem", 2.0, truncate=Truncate(distance=0.8)), SMALL).audit()
    assert 0 < audit.alone == lonely
    assert audit.exceeds


def test_laplace_comes_out_as_its_estimate_says() -> None:
    mechanism = build(PrivacyConfig("laplace", 6.0), SMALL)
    times = 20_000
    drawn = mechanism.draw(np.repeat(EVERY[7:8], times), random_bits(times))
    estimate = mechanism.probabilities(EVERY[7:8])[0]
    assert not mechanism.is_exact
    assert estimate.sum() == pytest.approx(1.0, abs=1e-6)
    assert np.abs(np.bincount(drawn, minlength=len(SMALL)) / times - estimate).sum() / 2 < 0.05


def test_truncated_gumbel_tells_far_more_than_it_claims() -> None:
    mechanism = build(GUMBEL, SMALL)
    assert isinstance(mechanism, TruncatedGumbel)
    audit = mechanism.audit()
    largest, per_distance = brute_force(mechanism)
    assert audit.all_pairs <= largest, "a lower bound"
    assert audit.measured <= per_distance
    with pytest.raises(ConfigError, match="no real solution below"):
        build(PrivacyConfig("truncated_gumbel", 3.0), SMALL)


def test_redact_tells_nothing() -> None:
    mechanism = build(PrivacyConfig("redact"), SMALL)
    assert {mechanism.outputs[at] for at in mechanism.draw(EVERY, random_bits(len(EVERY)))} == {"[word]"}
    assert mechanism.audit().all_pairs == 0.0
