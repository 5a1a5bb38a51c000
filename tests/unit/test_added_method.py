"""A new method is one more file: the configuration offers it and both studies train it, with nothing else edited."""

import json
import shutil
import subprocess
import sys

import pytest

from peft_atlas.errors import AtlasError
from peft_atlas.methods.names import setting_names

ROW_GAIN = '''
"""A gain for each output, as a method that someone adds."""

from dataclasses import dataclass

from peft_atlas.methods.ia3 import IA3
from peft_atlas.methods.method import StudySetting

SETTINGS = ("RowGain (value)", "RowGain (key)")


@dataclass(frozen=True)
class RowGain(IA3):
    """Rescales outputs; merging rescales weights."""

    name = "RowGain"

    @classmethod
    def study_settings(cls, sites, sizes):
        places = {place: (place,) if place in sites.attention else sites.linear for place in ("value", "key")}
        return [StudySetting(cls.name, place, cls(modules)) for place, modules in places.items()]
'''
PROGRAM = """
import json, sys
import yaml
from peft_atlas.studies.encoder.config import ENCODER_SETTINGS
from peft_atlas.studies.adaptation.config import AdaptationConfig
from peft_atlas.config import load_config
from peft_atlas.studies.adaptation.cells import Study, Target, cells
from peft_atlas.studies.adaptation.train import pretrain, train_target
from peft_atlas.studies.encoder.train import find_setting
named = [name for name in ENCODER_SETTINGS if name.startswith("RowGain")]
task = {"name": "trec6", "methods": ["full", *named]}
chosen = load_config({"encoder": {"tasks": [task]}}).encoder.tasks[0].methods
adapted = [cell.label for cell in cells(AdaptationConfig(), "methods") if "RowGain" in cell.label]
targets = [find_setting(name, 16).method.target_modules for name in named]
tiny = Study(load_config(yaml.safe_load(open(sys.argv[1]))).adaptation, (0, 1), "cpu")
runs = train_target(tiny, pretrain(tiny)[0], Target.of(*tiny.config.targets()["methods"][0]), "methods")[0]
ids = [run["run_id"] for run in runs]
print(json.dumps([len(ids) - len(set(ids)), sum("RowGain" in name for name in ids)]))
print(json.dumps([named, chosen, adapted, targets, load_config({}).encoder.tasks[0].methods]))
"""


@pytest.mark.slow
def test_a_new_file_is_all_that_a_new_method_takes(root, tmp_path):
    shutil.copytree(root / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "src/peft_atlas/methods/row_gain.py").write_text(ROW_GAIN.lstrip(), encoding="utf-8")
    command = [sys.executable, "-c", PROGRAM, str(root / "workflow/smoke.yaml")]
    done = subprocess.run(command, cwd=tmp_path / "src", capture_output=True, text=True, check=True)
    trained, names = done.stdout.splitlines()
    repeated, added = json.loads(trained)
    assert repeated == 0
    assert added > 0
    named, chosen, adapted, targets, offered = json.loads(names)
    assert named == ["RowGain (value)", "RowGain (key)"]
    assert chosen == ["full", *named]
    assert adapted == named
    assert targets == [["value"], ["key"]]
    assert set(named) < set(offered)


def test_names_that_cannot_be_read_are_named_with_their_place(tmp_path):
    (tmp_path / "odd.py").write_text("SETTINGS = tuple(places())\n", encoding="utf-8")
    with pytest.raises(AtlasError, match=r"odd\.py:1: SETTINGS: allowed: a literal$"):
        setting_names(tmp_path)
