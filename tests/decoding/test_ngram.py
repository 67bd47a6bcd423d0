"""Our reading of KenLM's files against KenLM itself."""

import bz2
import gzip
import lzma
import random
import re
from pathlib import Path

import kenlm
import numpy as np
import pytest

from pipeline.config import LanguageModelConfig
from pipeline.decoding.language_model import load_language_model
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


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress])
def test_bzip2_and_xz_are_read_too(tmp_path, pack):
    arpa = write_arpa(tmp_path)
    packed = tmp_path / "packed"
    packed.write_bytes(pack(arpa.read_bytes()))
    assert read_ngrams(packed).words == read_ngrams(arpa).words
    model = load_language_model(LanguageModelConfig(str(packed), None)).model
    assert model.score("the cat") == kenlm.Model(str(arpa)).score("the cat")


def test_empty_lines_may_be_missing(tmp_path):
    arpa = write_arpa(tmp_path)
    whole = read_ngrams(arpa)
    arpa.write_text("".join(line + "\n" for line in arpa.read_text().splitlines() if line.strip()))
    bare = read_ngrams(arpa)
    assert bare.words == whole.words
    np.testing.assert_array_equal(bare.keys, whole.keys)


HEAD = "\\data\\\nngram 1=3\nngram 2=1\n\n\\1-grams:\n-1 <unk> 0\n-99 <s> -1\n-1 cat -1\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HEAD, "the file ends, needed is '.2-grams:'"),
        (HEAD + "\n\\2-grams:\n-1 <s> cat\n", "the file ends, needed is '.end.'"),
        (HEAD + "\n\\end\\\n", "line 10 is '.end.', needed is '.2-grams:'"),
        (HEAD + "\n\\2-grams:\n\n\\end\\\n", "counts 1 2-grams, line 12 ends them after 0"),
        (HEAD + "\n\\2-grams:\n-1 <s> cat\n-1 cat cat\n\\end\\\n", "line 12 is '-1 cat cat', needed is '.end.'"),
        (HEAD + "\n\\2-grams:\n-1 <s> dog\n\\end\\\n", "line 11: the word 'dog' of a 2-gram is no 1-gram"),
        (HEAD.replace("1=3", "1=9"), "counts 9 1-grams, the file ends after 3"),
        (HEAD.replace("-1 cat", "1 cat"), "line 8 has the log probability 1"),
        (HEAD.replace("ngram 1=3\n", ""), "line 2 counts 2-grams"),
    ],
)
def test_half_a_model_is_refused_as_kenlm_refuses_it(tmp_path, content, message):
    path = tmp_path / "half.arpa"
    path.write_text(content)
    with pytest.raises(ModelError, match=message):
        read_ngrams(path)
    with pytest.raises(OSError, match="Cannot read model"):
        kenlm.Model(str(path))


def test_a_model_in_capitals_is_said(tmp_path):
    arpa = write_arpa(tmp_path)
    words = "".join(
        word if word.startswith(("<", "\\", "ngram")) else word.upper() for word in re.split(r"(\s)", arpa.read_text())
    )
    arpa.write_text(words)
    with pytest.raises(ModelError, match="is in capitals"):
        read_ngrams(arpa)


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
