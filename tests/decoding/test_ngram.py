"""Our reading of KenLM's files against KenLM itself."""

import gzip
import random
from pathlib import Path

import kenlm
import numpy as np
import pytest

from pipeline.decoding.ngram import UNKNOWN, build_ngrams, class_scores, load_ngrams, read_ngrams, score_sentence
from pipeline.errors import ModelError
from tests.support.inventory import write_arpa

FILES = Path(__file__).parent / "files"
KINDS = ("tiny.arpa", "tiny.probing", "tiny.trie", "tiny.quantised")


def score(ngrams, words, sentence):
    ids = {word: index for index, word in enumerate(words)}
    return score_sentence(ngrams, np.array([ids.get(word, UNKNOWN) for word in sentence], np.int32))


@pytest.mark.parametrize("name", KINDS)
def test_every_format_gives_kenlms_scores_on_random_sentences(name):
    ngrams, arrays = load_ngrams(FILES / name)
    model = kenlm.Model(str(FILES / name))
    generator = random.Random(7)
    words = [word for word in arrays.words if not word.startswith("<")] + ["unheard"]
    for _ in range(300):
        sentence = generator.choices(words, k=generator.randint(0, 12))
        assert score(ngrams, arrays.words, sentence) == pytest.approx(model.score(" ".join(sentence)), abs=1e-4)


def test_the_shipped_model_gives_kenlms_scores():
    path = Path(__file__).parents[2] / "models" / "language_model" / "3gram.binary"
    ngrams, arrays = load_ngrams(path)
    model = kenlm.Model(str(path))
    generator = random.Random(8)
    common = [arrays.words[at] for at in np.argsort(-arrays.unigrams[:, 0])[:3000] if arrays.words[at][0] != "<"]
    for _ in range(300):
        sentence = generator.choices([*common, "zzyzx"], k=8)
        assert score(ngrams, arrays.words, sentence) == pytest.approx(model.score(" ".join(sentence)), abs=1e-4)


def test_gzip_arpa_is_the_same_model(tmp_path):
    arpa = write_arpa(tmp_path)
    packed = tmp_path / "tiny.arpa.gz"
    packed.write_bytes(gzip.compress(arpa.read_bytes()))
    plain, unpacked = read_ngrams(arpa), read_ngrams(packed)
    assert plain.words == unpacked.words
    np.testing.assert_array_equal(plain.keys, unpacked.keys)
    np.testing.assert_array_equal(plain.values, unpacked.values)


def test_class_scores_tell_contexts_that_rare_words_follow(tmp_path):
    arrays = read_ngrams(write_arpa(tmp_path))
    scores = dict(zip(arrays.words, class_scores(arrays, common=2), strict=True))
    # "the" is followed by the rare "cat" with 10^-0.3; "cat" only backs off to rare words.
    assert scores["the"] == pytest.approx(np.log10(10**-0.3 + 10**-0.4 * (10**-1.3 + 10**-1.4 + 10**-1.5)), abs=1e-4)
    assert scores["the"] > scores["cat"]
    assert build_ngrams(arrays).context == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a model", "neither a KenLM binary nor a complete ARPA"),
        (b"\\data\\\nngram 1=1\n\n\\1-grams:\n-1.0 a b c d\n", "line 5 has 5 fields"),
        (b"mmap lm http://kheafield.com/code format version 5\n\0" + b"\0" * 60, "Rebuild it"),
    ],
)
def test_damaged_models_are_clear_errors(tmp_path, content, message):
    path = tmp_path / "damaged"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message):
        read_ngrams(path)


def test_a_cut_binary_is_a_clear_error(tmp_path):
    for name in KINDS[1:]:
        path = tmp_path / name
        path.write_bytes((FILES / name).read_bytes()[:-200])
        with pytest.raises(ModelError, match="Rebuild it"):
            read_ngrams(path)
