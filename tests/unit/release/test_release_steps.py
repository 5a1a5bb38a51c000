"""`make release`: what it refuses before anything changes, what it sets, and what it finds to be of another version."""

import hashlib
import io
import json
import subprocess
import tarfile
import zipfile

import pytest

from peft_atlas.errors import AtlasError
from peft_atlas.release.check import check_release
from peft_atlas.release.prepare import main, prepare
from peft_atlas.tables.contract import write_table
from peft_atlas.tables.literature_schemas import REFERENCES
from peft_atlas.version import __version__

FILES = {
    "src/peft_atlas/version.py": '"""Version."""\n\n__version__ = "0.1.0"\n',
    "CITATION.cff": "cff-version: 1.2.0\nversion: 0.1.0\nlicense: MIT\n",
    ".zenodo.json": '{\n  "title": "a",\n  "version": "0.1.0",\n  "license": "MIT"\n}\n',
    "CHANGELOG.md": "# Changelog\n\n## 0.1.1, unreleased\n\n- More.\n\n## 0.1.0, 2026-01-02\n\n- First.\n",
}


def git(folder, *words):
    names = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", "-C", folder, *names, *words], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def clone(tmp_path, monkeypatch):
    for name in ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"):
        monkeypatch.setenv(name, "a")
    for name in ("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(name, "a@b")
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "all")
    return tmp_path


def test_the_version_is_set_in_every_file_and_committed(clone):
    prepare(clone, "0.2.0", "2026-12-01")
    assert '__version__ = "0.2.0"' in (clone / "src/peft_atlas/version.py").read_text(encoding="utf-8")
    assert "version: 0.2.0\ndate-released: 2026-12-01\n" in (clone / "CITATION.cff").read_text(encoding="utf-8")
    assert json.loads((clone / ".zenodo.json").read_text(encoding="utf-8"))["version"] == "0.2.0"
    changed = (clone / "CHANGELOG.md").read_text(encoding="utf-8")
    assert changed == FILES["CHANGELOG.md"].replace("0.1.1, unreleased", "0.2.0, 2026-12-01")
    assert git(clone, "status", "--porcelain") == ""
    assert git(clone, "log", "-1", "--format=%s").strip() == "Version 0.2.0"


def test_a_release_that_failed_half_way_can_go_on_until_it_has_its_tag(clone):
    assert len(prepare(clone, "0.2.0", "2026-12-01")) == 4
    assert prepare(clone, "0.2.0", "2026-12-02") == []
    git(clone, "tag", "v0.2.0")
    with pytest.raises(AtlasError, match=r"the tag v0\.2\.0 exists"):
        prepare(clone, "0.2.0", "2026-12-02")


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("0.1.0", "0.1.0 was released on 2026-01-02; allowed: a version above it"),
        ("0.0.9", "allowed: 0.1.0, the present version, or one above it"),
        ("v2", "allowed: three numbers, such as 0.2.0"),
    ],
)
def test_a_version_that_cannot_be_released_is_refused(clone, version, said):
    with pytest.raises(AtlasError, match=said):
        prepare(clone, version, "2026-12-01")
    assert git(clone, "status", "--porcelain") == ""


def test_a_clone_with_changes_is_refused(clone):
    (clone / "new.txt").write_text("x", encoding="utf-8")
    with pytest.raises(AtlasError, match=r"1 files with uncommitted changes \(new.txt, ...\)"):
        prepare(clone, "0.2.0", "2026-12-01")


def test_a_tag_is_not_given_twice(clone):
    git(clone, "tag", "v0.2.0")
    with pytest.raises(AtlasError, match=r"the tag v0\.2\.0 exists"):
        prepare(clone, "0.2.0", "2026-12-01")


@pytest.mark.parametrize(
    ("changelog", "said"),
    [
        ("# Changelog\n\n## 0.1.0, 2026-01-02\n\n- First.\n", 'no section "## 0.2.0, unreleased"'),
        ("# Changelog\n\n## 0.2.0, unreleased\n\n## 0.1.0, 2026-01-02\n\n- First.\n", "lists no change"),
    ],
)
def test_a_release_of_nothing_is_refused(clone, changelog, said):
    (clone / "CHANGELOG.md").write_text(changelog, encoding="utf-8")
    git(clone, "commit", "-qam", "changelog")
    with pytest.raises(AtlasError, match=said):
        prepare(clone, "0.2.0", "2026-12-01")


def test_the_command_asks_for_a_version():
    with pytest.raises(AtlasError, match=f"make release VERSION=X.Y.Z; the present version is {__version__}"):
        main([""])


@pytest.fixture
def released(tmp_path):
    """Return a folder with every part of a release of this version."""
    for folder in ("dist", "docs", "build/site"):
        (tmp_path / folder).mkdir(parents=True)
    info = f"Metadata-Version: 2.4\nName: peft-atlas\nVersion: {__version__}\n"
    with zipfile.ZipFile(tmp_path / f"dist/peft_atlas-{__version__}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"peft_atlas-{__version__}.dist-info/METADATA", info)
    with tarfile.open(tmp_path / f"dist/peft_atlas-{__version__}.tar.gz", "w:gz") as sdist:
        member = tarfile.TarInfo(f"peft_atlas-{__version__}/PKG-INFO")
        member.size = len(info)
        sdist.addfile(member, io.BytesIO(info.encode()))
    write_table(REFERENCES, [], tmp_path / "references.parquet")
    with zipfile.ZipFile(tmp_path / f"docs/peft-atlas-{__version__}.zip", "w") as bundle:
        bundle.write(tmp_path / "references.parquet", "results/references.parquet")
        bundle.writestr("croissant.json", json.dumps({"version": __version__}))
    texts = {
        "docs/report.html": f"PEFT Atlas {__version__}, code abc",
        "docs/release.json": json.dumps({"version": __version__}),
        "build/site/index.html": f"<title>PEFT Atlas {__version__}</title>",
        "CITATION.cff": f"version: {__version__}\n",
        ".zenodo.json": json.dumps({"version": __version__}),
        "CHANGELOG.md": f"## {__version__}, 2026-12-01\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_a_whole_release_gets_its_digests(released):
    sums = check_release(released)
    for line in sums.read_text(encoding="utf-8").splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((sums.parent / name).read_bytes()).hexdigest() == digest
    assert len(sums.read_text(encoding="utf-8").splitlines()) == 4


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("docs/report.html", "PEFT Atlas 0.0.1, code abc", "the report is of 0.0.1"),
        ("CITATION.cff", "version: 0.0.1\n", "CITATION.cff is of 0.0.1"),
        ("CHANGELOG.md", f"## {__version__}, unreleased\n", "CHANGELOG.md is of no version"),
    ],
)
def test_a_part_of_another_version_is_named(released, name, text, said):
    (released / name).write_text(text, encoding="utf-8")
    with pytest.raises(AtlasError, match=said):
        check_release(released)
    assert not (released / "dist/SHA256SUMS").exists()


def test_a_missing_part_is_named(released):
    (released / "docs/report.html").unlink()
    with pytest.raises(AtlasError, match=r"docs/report\.html: no such file"):
        check_release(released)
