"""Ten thousand damaged published files: each read, or refused in one line."""

from pathlib import Path

import yaml
from fuzzing import cases, damaged, outcome, tally

from peft_atlas.studies.literature.data import (
    REFERENCES_FILE,
    SOURCES_FILE,
    VERDICTS_FILE,
    load_application_verdicts,
    load_published,
    load_references,
    load_sources,
)

FOLDER = Path(__file__).parents[3] / "data/published"
SOURCES = yaml.safe_load((FOLDER / SOURCES_FILE).read_text(encoding="utf-8"))
FILES = {path.name: path.read_text(encoding="utf-8").splitlines(keepends=True) for path in FOLDER.glob("*.csv")}
FILES[SOURCES_FILE] = [yaml.safe_dump({name: entry}, allow_unicode=True) for name, entry in SOURCES.items()]


def excerpt(draw, name):
    """Return a few rows of a file, behind the header where it has one."""
    lines = FILES[name]
    head = [] if name == SOURCES_FILE else lines[:1]
    rest = lines[len(head) :]
    start = draw.randrange(len(rest))
    return "".join([*head, *rest[start : start + 8]]).encode()


def read(folder, name):
    """Read one damaged file of a folder as the workflow does."""
    if name == SOURCES_FILE:
        load_sources(folder / name)
    elif name == VERDICTS_FILE:
        load_application_verdicts(folder / name, SOURCES)
    elif name == REFERENCES_FILE:
        load_references(folder / name, SOURCES)
    else:
        load_published(folder)


def case(draw, folder):
    """Write one damaged file and return whether it was read."""
    name = draw.choice(sorted(FILES))
    data = damaged(draw, excerpt(draw, name))
    used = {key: entry for key, entry in SOURCES.items() if key.encode() in data}
    (folder / SOURCES_FILE).write_text(yaml.safe_dump(used or SOURCES, allow_unicode=True), encoding="utf-8")
    (folder / name).write_bytes(data)
    found = outcome(read, folder, name)
    (folder / name).unlink()
    return found


def test_published_files(tmp_path):
    counts = tally("published files", (case(draw, tmp_path) for draw in cases("published", 10_000)))
    assert set(counts) == {"valid", "refused"}
