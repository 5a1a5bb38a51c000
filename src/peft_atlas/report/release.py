"""A finished report for readers who have run nothing: ``python -m peft_atlas.report.release results docs``.

It writes ``report.html``, in which every link to a file leads to the bundle next to it, the bundle with all result
tables and the figures' files, ``index.html`` for static hosting, and ``release.json``, which says of which version of
the code they are and how large; a test compares it with the code.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import zipfile
from collections.abc import Sequence
from functools import partial
from html import escape
from pathlib import Path

from peft_atlas.errors import AtlasError
from peft_atlas.export import date_of, described
from peft_atlas.files import write_text, write_whole
from peft_atlas.result_sets import load, tables_in
from peft_atlas.snakemake_support.provenance import code_version
from peft_atlas.version import __version__

MANIFEST = "release.json"
_FIGURE_ENDINGS = ("pdf", "svg", "csv", "tex")
_FILE_LINK = re.compile(r'href="(?!#|data:|https?:)[^"]+"')
# Members of the bundle carry one date, so that the same results make the same bytes.
_DATE = (2020, 1, 1, 0, 0, 0)


def bundle_name() -> str:
    """Return the file name of the bundle of this version."""
    return f"peft-atlas-{__version__}.zip"


def write_release(results: Path, docs: Path, root: Path) -> Path:
    """Write report, bundle, index and manifest into a folder and return the manifest's path.

    Parameters
    ----------
    results
        Folder of a finished run; its figures are in ``figures`` next to it.
    docs
        Where to write.
    root
        The repository, whose commit the manifest states.

    Raises
    ------
    AtlasError
        If there is no finished report.
    """
    source = results / "report.html"
    if not source.is_file():
        raise AtlasError(f"{source}: no finished report; run make first")
    page = _FILE_LINK.sub(f'href="{bundle_name()}"', source.read_text(encoding="utf-8"))
    if "(still running)" in page:
        raise AtlasError(f"{source}: a report of a run that has not ended; wait for it, or run make")
    # Before anything is written, which would itself be an uncommitted change.
    code = code_version(root)
    for old in docs.glob("peft-atlas-*.zip"):
        old.unlink()
    write_text(docs / "report.html", page)
    write_whole(docs / bundle_name(), partial(_bundle, results, code))
    write_text(docs / "index.html", _index(docs))
    manifest = docs / MANIFEST
    write_text(manifest, json.dumps(_facts(docs, code), indent=2) + "\n")
    return manifest


def _bundle(results: Path, code: str, path: Path) -> None:
    """Write tables, LaTeX files and figures into one archive, with a Croissant and an RO-Crate description of them."""
    figures = results.parent / "figures"
    files = [*results.glob("*.parquet"), *results.glob("paper/*.tex"), results / "config.yaml"]
    files += [file for ending in _FIGURE_ENDINGS for file in figures.glob(f"*.{ending}")]
    members = {file.relative_to(results.parent).as_posix(): file.read_bytes() for file in files if file.is_file()}
    tables = {name: f"results/{name}.parquet" for name in tables_in(results)}
    frames = {name: load(name, results) for name in tables}
    members |= described(members, tables, frames, date_of(results), code)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(members.items()):
            member = zipfile.ZipInfo(name, _DATE)
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, content)


def _index(docs: Path) -> str:
    """Return a page that leads to the report, the bundle and the documentation."""
    pages = sorted(page.name for page in docs.glob("*.md"))
    links = [("report.html", "The report"), (bundle_name(), "All tables and figures as one file")]
    links += [(page, page.removesuffix(".md").replace("-", " ").capitalize()) for page in pages]
    listed = "\n".join(f'<li><a href="{escape(target)}">{escape(text)}</a></li>' for target, text in links)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>PEFT Atlas {__version__}</title>\n</head>\n<body>\n<h1>PEFT Atlas {__version__}</h1>\n"
        f"<ul>\n{listed}\n</ul>\n</body>\n</html>\n"
    )


def _facts(docs: Path, code: str) -> dict[str, object]:
    """Return the version, the commit, and the size and digest of each file."""
    names = ("report.html", bundle_name())
    files = {
        name: {"bytes": (docs / name).stat().st_size, "sha256": hashlib.sha256((docs / name).read_bytes()).hexdigest()}
        for name in names
    }
    return {"version": __version__, "code": code, "files": files}


def main(words: Sequence[str]) -> str:
    """Write a release from the folder of results to the folder of documents, and return what was written."""
    if len(words) != 2:
        raise AtlasError("usage: python -m peft_atlas.report.release RESULTS DOCS")
    results, docs = map(Path, words)
    manifest = write_release(results, docs, Path.cwd())
    sizes = {name: file["bytes"] for name, file in json.loads(manifest.read_text(encoding="utf-8"))["files"].items()}
    return "\n".join(f"{docs / name}: {size / 1e6:.1f} MB" for name, size in sizes.items())


if __name__ == "__main__":
    try:
        sys.stdout.write(main(sys.argv[1:]) + "\n")
    except AtlasError as error:
        sys.exit(str(error))
