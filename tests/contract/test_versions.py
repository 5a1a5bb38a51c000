"""Every file that states a version states the package's."""

import json
import re

import yaml

from peft_atlas import __version__


def test_each_file_states_the_same_version(root):
    stated = {
        "CITATION.cff": yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))["version"],
        ".zenodo.json": json.loads((root / ".zenodo.json").read_text(encoding="utf-8"))["version"],
        "CHANGELOG.md": re.search(r"^## (\S+),", (root / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)[1],
    }
    assert stated == dict.fromkeys(stated, __version__)


def test_containers_install_what_is_pinned(root):
    extras = re.search(r'--editable "\.\[(.*?)\]"', (root / "Makefile").read_text(encoding="utf-8"))[1].split(",")
    for name in ("Dockerfile", "peft-atlas.def"):
        text = (root / "workflow/containers" / name).read_text(encoding="utf-8")
        assert "grep '^torch==' constraints.txt" in text
        installed = re.search(r'--constraint constraints\.txt "\.\[(.*?)\]"', text)[1].split(",")
        assert [*installed, "docs", "test"] == extras
