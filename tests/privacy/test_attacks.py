"""Attacks and utility on texts whose answers are known."""

from pathlib import Path

import kenlm
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import privacy
from pipeline.config import LanguageModelConfig
from pipeline.privacy import attacks, utility
from pipeline.privacy.config import PrivacyConfig
from pipeline.privacy.embeddings import load
from pipeline.privacy.mechanism import largest_ratio
from pipeline.privacy.mechanisms import build
from pipeline.privacy.promise import document
from pipeline.schemas import TRANSCRIPTS
from tests.support.privacy import random_bits, small_embeddings

SMALL = small_embeddings()
COUNTS = {"rows": 1, "words": 2, "replaced": 0}


def test_the_best_guess_is_right_as_often_as_brute_force_says() -> None:
    mechanism = build(PrivacyConfig("tem", 2.0), SMALL)
    prior = attacks.Prior.of({"w1": 3, "w2": 1, "w7": 4, "not there": 9}, SMALL)
    assert prior.shares.tolist() == [0.375, 0.125, 0.5]
    joint = mechanism.probabilities(prior.words) * prior.shares[:, None]
    assert attacks.bayes_success(mechanism, prior) == pytest.approx(joint.max(axis=0).sum())
    assert attacks.bayes_success(build(PrivacyConfig("redact"), SMALL), prior) == pytest.approx(0.5)
    assert attacks.bayes_success(build(PrivacyConfig("tem", 80.0), SMALL), prior) == pytest.approx(1.0, abs=2e-3)


def test_an_attacker_of_laplace_learns_from_draws() -> None:
    prior = attacks.Prior.of({f"w{at}": 1 for at in range(60)}, SMALL)
    weak, strong = (build(PrivacyConfig("laplace", epsilon), SMALL) for epsilon in (2.0, 40.0))
    bits = random_bits(attacks.DRAWS)
    assert attacks.bayes_success(weak, prior, bits) < 0.3 < 0.9 < attacks.bayes_success(strong, prior, bits)


def test_authors_are_linked_by_their_words() -> None:
    known = {"ann": ["indeed it was lovely indeed"], "bob": ["well you know well"], "cy": ["thus spoke the king"]}
    unknown = {"ann": ["lovely indeed"], "bob": ["you know"], "cy": ["thus the king"]}
    assert attacks.linked(known, unknown) == 1.0
    assert attacks.linked(known, {"ann": ["you know well"]}) == 0.0


def test_groups_link_authors_whatever_epsilon_is() -> None:
    members = [[SMALL.words[word] for word in group] for group in SMALL.members[:6]]
    known = {f"a{at}": [" ".join(members[at] + members[at + 3])] for at in range(3)}
    mechanism = build(PrivacyConfig(epsilon=1e-6, within="kary"), SMALL)
    unknown = {}
    for at, (name, texts) in enumerate(known.items()):
        words = np.array([SMALL.ids[word] for word in texts[0].split()], np.int32)
        drawn = mechanism.draw(words, random_bits(len(words), seed=at))
        assert drawn.tolist() != words.tolist()
        unknown[name] = [" ".join(SMALL.words[word] for word in drawn)]
    there, here = ({name: attacks.in_groups(texts, SMALL) for name, texts in one.items()} for one in (known, unknown))
    assert there == here, "no noise on groups"
    assert attacks.linked(there, here) == 1.0
    assert attacks.in_groups(["zq w1's w1 [word]"], SMALL) == [f"{SMALL.groups[1]} {SMALL.groups[1]}"]


def test_an_attacker_who_knows_the_mechanism_links_more_than_one_who_compares_words() -> None:
    mechanism = build(PrivacyConfig(epsilon=2.0), SMALL)
    known = {f"a{at}": [" ".join(SMALL.words[6 * at : 6 * at + 6])] for at in range(10)}
    by_words, by_channel = [], []
    attacker = attacks.ByChannel.of(known, SMALL, mechanism)
    for seed in range(5):
        unknown = {}
        for at, (name, texts) in enumerate(known.items()):
            words = np.array([SMALL.ids[word] for word in texts[0].split()] * 8, np.int32)
            drawn = mechanism.draw(words, random_bits(len(words), seed=100 * seed + at))
            unknown[name] = [" ".join(SMALL.words[word] for word in drawn)]
        by_words.append(attacks.linked(known, unknown))
        by_channel.append(attacker.linked(unknown))
    assert np.mean(by_channel) > np.mean(by_words)
    assert np.mean(by_channel) > 0.5
    assert attacks.ByChannel.of(known, SMALL, None).linked(known) == 1.0
    weak = build(PrivacyConfig(epsilon=1e-6), SMALL)
    drawn = {name: [" ".join(SMALL.words[word] for word in random_words(at))] for at, name in enumerate(known)}
    assert attacks.ByChannel.of(known, SMALL, weak).linked(drawn) <= 0.3


def random_words(seed: int) -> list[int]:
    return np.random.default_rng(seed).integers(0, 60, 40).tolist()


def test_an_attacker_of_laplace_links_by_draws() -> None:
    known = {f"a{at}": [" ".join(SMALL.words[6 * at : 6 * at + 6])] for at in range(10)}
    strong = build(PrivacyConfig("laplace", 40.0), SMALL)
    assert attacks.ByChannel.of(known, SMALL, strong).linked(known) == 1.0


def test_viterbi_takes_the_words_that_fit_together() -> None:
    model = kenlm.Model(LanguageModelConfig().path)
    texts = (["of", "house"], ["the", "runs"], ["united", "apple"], ["states", "chair"])
    positions = [attacks.Candidates(words, [0.0, 0.0]) for words in texts]
    assert attacks.reconstruct(positions, model) == ["of", "the", "united", "states"]
    sure = [attacks.Candidates(["chair"], [0.0]), attacks.Candidates(["of", "chair"], [-1000.0, 0.0])]
    assert attacks.reconstruct(sure, model) == ["chair", "chair"]


def test_a_classifier_learns_what_can_be_learnt() -> None:
    embeddings = load()
    sides = {
        "food": ["bread", "cheese", "soup", "dinner", "meat"],
        "war": ["army", "soldiers", "battle", "weapons", "enemy"],
    }
    train = [utility.Labelled(f"the {word}", label) for label, words in sides.items() for word in words[:3]]
    test = [utility.Labelled(f"some {word}", label) for label, words in sides.items() for word in words[3:]]
    assert utility.accuracy(train, test, embeddings) == 1.0
    assert utility.accuracy([utility.Labelled("zqx", one.label) for one in train], test, embeddings) <= 0.5


def test_words_of_sparse_regions_move_farther() -> None:
    mechanism = build(PrivacyConfig("grouped", 1.0, within="kary"), SMALL)
    moves = utility.moves(mechanism, np.arange(60, dtype=np.int32))
    assert np.mean(moves.by_density[:3]) < np.mean(moves.by_density[-3:])
    assert 0 < moves.stays < 1


def test_the_page_holds_figures_and_no_text(tmp_path: Path) -> None:
    folder = tmp_path
    words = ("soldiers", "dinner", "river", "winter", "teacher")
    rows = [
        {"utterance_id": f"u{at}", "text": f"the {words[at % 5]} of zqorblax was old", "speaker": f"s{at % 4}"}
        for at in range(40)
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=TRANSCRIPTS), folder / "rows.parquet")
    (folder / "privacy.yaml").write_text("{}")
    (folder / "labels.tsv").write_text("".join(f"u{at}\t{at % 2}\n" for at in range(40)))
    arguments = ["--run", str(folder / "rows.parquet"), "--private", str(folder / "privacy.yaml")]
    more = ["--epsilon", "1", "3", "--labels", str(folder / "labels.tsv"), "--output", str(folder / "page.html")]
    assert privacy.main([*arguments, *more]) == 0
    page = (folder / "page.html").read_text()
    assert "grouped at 3" in page
    assert "holds" in page
    assert "zqorblax" not in page


def test_vectors_of_ones_own_become_embeddings(tmp_path: Path) -> None:
    folder = tmp_path
    random = np.random.default_rng(0)
    lines = [f"word{at} " + " ".join(f"{value:.3f}" for value in random.standard_normal(8)) for at in range(50)]
    (folder / "vectors.txt").write_text("50 8\n" + "\n".join(lines) + "\n")
    output = folder / "vectors.npz"
    assert privacy.main(["--build-embeddings", str(folder / "vectors.txt"), "--output", str(output)]) == 0
    built = load(str(output))
    assert len(built) == 50
    assert sorted(np.bincount(built.groups).tolist()) == [25, 25]
    again = ["--build-embeddings", str(folder / "vectors.txt"), "--output", str(output)]
    assert privacy.main([*again, "--group-words", "10"]) == 0
    load.cache_clear()
    smaller = load(str(output))
    assert np.bincount(smaller.groups).tolist() == [10] * 5
    assert smaller.content_hash != built.content_hash, "other groups are other noise"
    assert privacy.main([*again, "--group-words", "1"]) == 2
    kary = PrivacyConfig(within="kary")
    assert "about 10 near words" in document(kary, smaller, build(kary, smaller).audit(), COUNTS)
    default = PrivacyConfig()
    assert "one of the 50 commonest of the 50 words" in document(
        default, smaller, build(default, smaller).audit(), COUNTS
    )


def test_the_shipped_words_in_larger_groups(tmp_path: Path) -> None:
    output = tmp_path / "wide.npz"
    assert privacy.main(["--build-embeddings", "shipped", "--group-words", "1000", "--output", str(output)]) == 0
    wide = load(str(output))
    assert wide.words == load().words
    assert len(wide.members) == 20
    lines = build(PrivacyConfig(epsilon=5.0, within="kary"), wide).probabilities(wide.members[7])[:, wide.members[7]]
    assert largest_ratio(lines) <= 5.0 + 1e-9
    kary, default = PrivacyConfig(within="kary"), PrivacyConfig()
    said = document(kary, load(), build(kary, load()).audit(), COUNTS)
    assert "about twenty near words" in said
    assert "Over all pairs of words the largest loss is infinite" in said
    said = document(default, load(), build(default, load()).audit(), COUNTS)
    assert "no public group of a word is told" in said
    assert "Over all pairs of words the largest loss is 3." in said
