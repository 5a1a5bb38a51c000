"""The environments hold the same versions."""

import tomllib
from importlib.metadata import version

import pytest
import yaml


def pins(lines):
    return {name.lower(): number for name, _, number in (line.partition("==") for line in lines) if number}


@pytest.fixture
def constraints(root):
    text = (root / "constraints.txt").read_text(encoding="utf-8")
    return pins(line.strip() for line in text.splitlines() if not line.startswith("#"))


@pytest.fixture
def wanted(root):
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    # Tests and documentation are not part of what a run needs.
    extras = [names for extra, names in project["optional-dependencies"].items() if extra not in ("docs", "test")]
    return sorted(name.lower() for names in (project["dependencies"], *extras) for name in names)


def test_conda_users_get_the_same_versions(root, constraints, wanted):
    environment = yaml.safe_load((root / "environment.yml").read_text(encoding="utf-8"))
    conda = pins(next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)))
    assert sorted(conda) == wanted
    assert conda == {name: constraints[name] for name in wanted}


def test_what_is_installed_is_what_is_pinned(constraints):
    found = {name: version(name).split("+")[0] for name in constraints}
    assert found == constraints
