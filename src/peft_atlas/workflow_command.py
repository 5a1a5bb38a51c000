"""The commands that run the workflow in a folder of the user's own, from a clone or from an installed package."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import click

from peft_atlas.errors import AtlasError
from peft_atlas.files import write_text

CONFIG = Path("config.yaml")
_PASSED_ON = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


def workflow_root() -> Path:
    """Return the folder of the Snakefile: the clone that the package is imported from, or what it was installed with.

    Raises
    ------
    AtlasError
        If the package has neither.
    """
    package = Path(__file__).resolve().parent
    for root in (package / "packaged_workflow", package.parents[1]):
        if (root / "Snakefile").is_file():
            return root
    raise AtlasError(f"{package}: no workflow; install the wheel (pip install peft-atlas) or work in a clone")


def snakemake_command(words: Sequence[str], root: Path, folder: Path) -> list[str]:
    """Return the command that runs the workflow in a folder.

    Parameters
    ----------
    words
        What the user wrote: targets and options of Snakemake, which win over those added here.
    root
        Folder of the Snakefile.
    folder
        Where results go; a ``config.yaml`` in it is the configuration.
    """
    words = _with_profile(words, root, folder)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(root / "Snakefile"), *words]
    if not _given(words, "--workflow-profile"):
        command += ["--workflow-profile", str(root / "workflow/profiles/default")]
    if (folder / CONFIG).is_file() and not _given(words, "--configfile", "--configfiles"):
        command += ["--configfile", str(CONFIG)]
    if not _given(words, "--cores", "--jobs", "-c", "-j", "--executor", "-e"):
        command += ["--cores", "all"]
    return command


def _with_profile(words: Sequence[str], root: Path, folder: Path) -> list[str]:
    """Return the words with the path of a packaged profile in place of its name.

    Snakemake looks for names in the user's folder and next to a Snakefile in a clone, and passes over one that it does
    not find.
    """
    found = []
    for place, word in enumerate(words):
        option, equals, name = word.partition("=")
        if not equals and place and words[place - 1] == "--workflow-profile":
            option, name = "", word
        elif option != "--workflow-profile" or not equals:
            found.append(word)
            continue
        packaged = root / "workflow/profiles" / name
        own = any((folder / each).is_dir() for each in (name, f"profiles/{name}"))
        path = str(packaged) if packaged.is_dir() and not own else name
        found.append(f"{option}={path}" if option else path)
    return found


def _given(words: Sequence[str], *options: str) -> bool:
    """Return whether one of the options is among the words, as ``--cores 2``, ``--cores=2`` or ``-c2``."""
    long = [option for option in options if option.startswith("--")]
    short = tuple(option for option in options if not option.startswith("--"))
    return any(
        word.partition("=")[0] in long or (bool(short) and word.startswith(short) and not word.startswith("--"))
        for word in words
    )


@click.command()
@click.option("--force", is_flag=True, help="Replace a config.yaml that is there.")
def init(*, force: bool) -> None:
    """Write a commented config.yaml into this folder."""
    if CONFIG.exists() and not force:
        raise AtlasError(f"{CONFIG}: exists already; --force replaces it")
    write_text(CONFIG, (workflow_root() / CONFIG).read_text(encoding="utf-8"))
    click.echo(f"Wrote {CONFIG}. Next: peft-atlas run --cores 4")


@click.command(context_settings=_PASSED_ON, add_help_option=False)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def run(words: tuple[str, ...]) -> None:
    """Run the study in this folder; every target and option of Snakemake is passed on to it."""
    if find_spec("torch") is None:
        raise AtlasError("run: torch is not installed, and studies train with it; pip install 'peft-atlas[train]'")
    _become_snakemake(words)


@click.command(context_settings=_PASSED_ON, add_help_option=False)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def report(words: tuple[str, ...]) -> None:
    """Write the report, and run before what it lacks; options of Snakemake are passed on to it."""
    _become_snakemake(("report", *words))


@click.command()
def where() -> None:
    """Print the folder of the workflow: its Snakefile, config.yaml, and profiles for clusters."""
    click.echo(workflow_root())


def _become_snakemake(words: Sequence[str]) -> None:
    """Replace this process by Snakemake, so that its exit status and its handling of signals are Snakemake's own."""
    command = snakemake_command(words, workflow_root(), Path.cwd())
    sys.stdout.flush()
    os.execv(command[0], command)
