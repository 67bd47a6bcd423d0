"""Whatever a run reads names it: per preset, the files that change its fingerprint are all that it needs."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config import PRESETS, RunConfig, joint, override, path_fields, pronounces
from pipeline.config.config import AUTO, MODELS
from pipeline.entities.lists import load_entities
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.recognition.recogniser import Recogniser

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
AUDIO = pq.read_table(EXAMPLES / "demo.parquet").slice(20, 1)
LISTS = load_entities(str(EXAMPLES / "entities.csv"))
_LANGUAGE = {"language_model/3gram.binary", "language_model/words.txt.gz"}
_NETWORK = {f"base_en_ctc/{name}" for name in ("config.json", "model.safetensors", "spelling.safetensors")}
_BASE = _LANGUAGE | _NETWORK | {"base_en_ctc/tokenizer.model"}
_PRONOUNCED = {"phonetics/cmudict.txt.gz", "phonetics/g2p.npz"}
_ADAPTER = {f"base_en_ctc_adapter/{name}" for name in ("adapter.json", "adapter.safetensors", "training_words.txt")}
READ = {
    "hotwords": _BASE,
    "baseline": _BASE | _PRONOUNCED,
    "boosting": _BASE | _PRONOUNCED,
    "boost_class": _BASE | _PRONOUNCED,
    "rescoring": _BASE | _PRONOUNCED,
    "lexicon": _BASE | _PRONOUNCED,
    "g2g": _BASE | _PRONOUNCED | {"phonetics/confusions.json"},
    "adapter": _BASE | _PRONOUNCED | _ADAPTER,
    "joint": _BASE | _PRONOUNCED | _ADAPTER | {f"phonetics/{name}.json" for name in ("confusions", "guard", "cut")},
}
"""By preset, the files below models/."""

_NAMES = """
import json
from pathlib import Path
from pipeline.acoustic.adapter_files import resolved
from pipeline.config import PRESETS
from pipeline.config.config import MODELS
from pipeline.config.fingerprint import config_fingerprint, model_fingerprint

def names():
    made = {}
    for name, preset in PRESETS.items():
        config = preset()
        if config.adapter is not None:
            adapter = str(MODELS / "base_en_ctc_adapter")
            from dataclasses import replace
            config = replace(config, adapter=replace(config.adapter, model=adapter))
        made[name] = model_fingerprint(config.acoustic.model), config_fingerprint(config)
    return made

before, touched = names(), {name: [] for name in PRESETS}
for path in sorted(MODELS.rglob("*")):
    if path.is_file():
        content = path.read_bytes()
        path.write_bytes(content + b" ")
        for name, after in names().items():
            if after != before[name]:
                touched[name].append(path.relative_to(MODELS).as_posix())
        path.write_bytes(content)
assert names() == before
print(json.dumps(touched))
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The code and the models in a folder of their own, so that files can be touched and taken away."""
    shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "models", tmp_path / "models")
    return tmp_path


def test_touching_a_file_that_a_run_reads_changes_its_fingerprint_and_no_other_does(tree: Path) -> None:
    assert set(READ) == set(PRESETS)
    command = [sys.executable, "-c", _NAMES]
    environment = os.environ | {"PYTHONPATH": str(tree)}
    done = subprocess.run(command, cwd=tree, env=environment, check=True, capture_output=True, text=True, timeout=300)
    assert {name: set(files) for name, files in json.loads(done.stdout).items()} == READ


def with_only(files: set[str], folder: Path, config: RunConfig) -> Recogniser:
    """The recogniser of ``config`` in a folder that holds ``files`` of models/ and nothing else."""
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(MODELS / name, folder / name)
    for part, key, _ in path_fields():
        if getattr(config, part) is not None and getattr(getattr(config, part), key) not in (None, AUTO):
            moved = folder / Path(getattr(getattr(config, part), key)).relative_to(MODELS)
            config = override(config, {part: {key: str(moved)}})
    made = Recogniser.load(config, LISTS, encodes=False, transcribes=False)
    if pronounces(config):
        made.parts.pronouncer = Pronouncer(folder / "phonetics")
    return made


@pytest.fixture(scope="module")
def emissions() -> pa.Table:
    return Recogniser.load(joint(), transcribes=False).encode(AUDIO)


@pytest.mark.parametrize("preset", READ)
def test_a_run_reads_nothing_that_is_not_in_its_fingerprint(preset: str, emissions: pa.Table, tmp_path: Path) -> None:
    here = Recogniser.load(PRESETS[preset](), LISTS, encodes=False).transcribe(emissions)
    alone = with_only(READ[preset], tmp_path, PRESETS[preset]()).transcribe(emissions)
    assert here["error"].null_count == len(here)
    assert alone.equals(here)


def test_nor_does_the_first_pass(emissions: pa.Table, tmp_path: Path) -> None:
    assert with_only(READ["adapter"], tmp_path, PRESETS["adapter"]()).encode(AUDIO).equals(emissions)
