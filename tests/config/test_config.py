import dataclasses
from pathlib import Path

import pytest

from pipeline import config
from pipeline.errors import ConfigError


def test_yaml_values_go_over_the_preset() -> None:
    changed = config.override(config.baseline(), {"beam": {"width": 8}, "language_model": None})
    assert changed.beam.width == 8
    assert changed.language_model is None
    assert changed.acoustic == config.baseline().acoustic


def test_an_empty_mapping_turns_a_technique_on_with_its_defaults() -> None:
    assert config.override(config.baseline(), {"hotwords": {}}).hotwords == config.HotwordsConfig()


def test_lists_become_tuples_and_whole_numbers_become_floats() -> None:
    changed = config.override(config.baseline(), {"acoustic": {"tapped_layers": [6, 12], "batch_seconds": 60}})
    assert changed.acoustic.tapped_layers == (6, 12)
    assert changed.acoustic.batch_seconds == 60.0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"beem": {}}, "unknown config key 'beem'"),
        ({"beam": {"widht": 8}}, r"unknown config key 'beam\.widht'"),
        ({"beam": {"width": "wide"}}, r"'beam\.width' must be int, got 'wide'"),
        ({"beam": {"width": True}}, r"'beam\.width' must be int"),
        ({"beam": None}, "'beam'"),
        ({"acoustic": {"tapped_layers": ["six"]}}, r"'acoustic\.tapped_layers' must be int"),
        ({"beam": 8}, "must be a mapping"),
    ],
)
def test_what_is_wrong_is_named(values: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config.override(config.baseline(), values)


def test_every_technique_can_be_taken_out_of_the_joint_preset() -> None:
    for technique in config.SWITCHES:
        assert getattr(config.without(config.joint(), technique), technique) is None
    with pytest.raises(ConfigError, match="unknown technique 'magic'"):
        config.without(config.joint(), "magic")


def test_techniques_are_the_optional_fields_that_bias() -> None:
    optional = {f.name for f in dataclasses.fields(config.RunConfig) if f.default is None}
    assert set(config.TECHNIQUES) == optional - {
        "guard",
        "shortlist",
        "cut",
        "lexical",
        "memory",
        "policy",
        "tree",
        "session",
    }  # these only take back or leave out


def test_every_technique_has_a_preset_of_its_own() -> None:
    for technique in config.TECHNIQUES:
        alone = config.PRESETS[technique]()
        assert [name for name in config.TECHNIQUES if getattr(alone, name) is not None] == [technique]


def test_the_baseline_biases_nothing() -> None:
    assert all(getattr(config.baseline(), technique) is None for technique in config.TECHNIQUES)


def test_relative_paths_of_what_is_here_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own").mkdir()
    monkeypatch.chdir(tmp_path)
    relative = config.override(config.baseline(), {"acoustic": {"model": "own"}, "language_model": None})
    assert config.absolute_paths(relative).acoustic.model == str(tmp_path / "own")
    hub = config.override(config.baseline(), {"acoustic": {"model": "facebook/wav2vec2-base-960h"}})
    assert config.absolute_paths(hub) == hub


def test_what_is_bold_behind_the_guard_is_careful_without_it() -> None:
    joint, bold = config.joint(), config.BOLD
    assert (joint.boosting, joint.boost_class) == (bold, config.BOLD_CLASS)
    careful = (config.BoostingConfig(), config.BoostClassConfig())
    for changed in (config.without(joint, "guard"), config.override(joint, {"guard": None})):
        assert (changed.guard, changed.boosting, changed.boost_class) == (None, *careful)
    own = config.override(joint, {"guard": None, "boosting": {"scale": bold.scale, "explain": False}})
    assert own.boosting == config.BoostingConfig(scale=bold.scale, explain=False)
    assert config.override(joint, {"boosting": {"cap": 3.0}}).boosting == dataclasses.replace(bold, cap=3.0)
    assert config.without(joint, "boosting").boost_class == config.BOLD_CLASS
