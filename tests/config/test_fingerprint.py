import dataclasses
from pathlib import Path

import pytest

from pipeline.config import GuardConfig, HotwordsConfig, LanguageModelConfig, RunConfig, baseline
from pipeline.config.fingerprint import config_fingerprint, content_hash, fingerprint, model_fingerprint
from pipeline.errors import ModelError


def with_files(folder: Path, lm: bytes = b"lm") -> RunConfig:
    folder.mkdir(parents=True)
    (folder / "lm.binary").write_bytes(lm)
    return dataclasses.replace(baseline(), language_model=LanguageModelConfig(str(folder / "lm.binary"), unigrams=None))


def test_where_files_lie_does_not_count_but_what_they_hold_does(tmp_path: Path) -> None:
    here, there, other = with_files(tmp_path / "a"), with_files(tmp_path / "b"), with_files(tmp_path / "c", b"LM")
    assert config_fingerprint(here) == config_fingerprint(there)
    assert config_fingerprint(here) != config_fingerprint(other)


def test_the_weights_of_the_guard_count_and_not_their_folder(tmp_path: Path) -> None:
    made = []
    for name, content in (("a", "{}"), ("b", "{}"), ("c", "[]")):
        (tmp_path / name).write_text(content)
        made.append(dataclasses.replace(baseline(), guard=GuardConfig(weights=str(tmp_path / name))))
    here, there, other = map(config_fingerprint, made)
    assert here == there != other


def test_speed_does_not_count_but_every_weight_does(tmp_path: Path) -> None:
    config = with_files(tmp_path / "a")
    fast = dataclasses.replace(config.acoustic, device="cuda", batch_seconds=1.0, model="elsewhere")
    assert config_fingerprint(dataclasses.replace(config, acoustic=fast)) == config_fingerprint(config)
    assert config.language_model is not None
    lm = dataclasses.replace(config.language_model, alpha=0.51)
    changed = [
        dataclasses.replace(config, language_model=lm),
        dataclasses.replace(config, language_model=None),
        dataclasses.replace(config, hotwords=HotwordsConfig()),
        dataclasses.replace(config, acoustic=dataclasses.replace(config.acoustic, top_k=8)),
    ]
    assert len({config_fingerprint(one) for one in [config, *changed]}) == 5


def test_the_order_of_keys_does_not_count() -> None:
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    assert len(fingerprint({})) == 16


def test_a_model_is_its_files_whatever_its_folder_and_card(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    (tmp_path / "b" / "README.md").write_text("a card")
    assert model_fingerprint(str(tmp_path / "a")) == model_fingerprint(str(tmp_path / "b"))
    (tmp_path / "b" / "config.json").write_text("{ }")
    assert model_fingerprint(str(tmp_path / "a")) != model_fingerprint(str(tmp_path / "b"))
    assert model_fingerprint("facebook/wav2vec2-base-960h") == "facebook/wav2vec2-base-960h"


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        content_hash(str(tmp_path / "none"))
    with pytest.raises(ModelError, match="does not exist"):
        model_fingerprint(str(tmp_path / "none"))
    with pytest.raises(ModelError, match="holds none of"):
        model_fingerprint(str(tmp_path))
