"""Time of what a change makes run again: of a transcribed table, or of the style of the figures.

Run it with ``make bench-published`` or ``make bench-style``. Tiny measured studies and a first run of everything else
come before the clock starts, so that the environment is warm; then every job that the change causes runs again, by
the workflow itself, on the given cores. On a machine that others use the elapsed time says little, so the processor
time of each job is measured too: what a quiet machine takes lies between all of it shared by the cores and the
elapsed time.
"""

from __future__ import annotations

import argparse
import collections
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 30.0
FIRST_FONT_SIZE, NEXT_FONT_SIZE = 8.0, 8.5
# What each change asks of Snakemake: the rules that run first, and the font size of the figures.
CHANGES = {
    "published": (("--forcerun", "load_published", "load_record", "count_parameters", "compute_memory"), FIRST_FONT_SIZE),
    "style": ((), NEXT_FONT_SIZE),
}
# Each Python process of a run writes what it was (the rule of a job, else the program), the processor time and memory
# that it took, and if it knew torch.
RECORDER = """\
import atexit, os, resource, sys
def record():
    used = resource.getrusage(resource.RUSAGE_SELF)
    job = getattr(sys.modules["__main__"], "snakemake", None)
    name = getattr(job, "rule", None) or os.path.basename(sys.argv[0] if sys.argv else "") or "-"
    with open(os.path.join({folder!r}, str(os.getpid())), "w") as stream:
        torch = "torch" in sys.modules
        stream.write(f"{{name}} {{used.ru_utime + used.ru_stime}} {{used.ru_maxrss * 1024 / 1e6}} {{torch:d}}")
atexit.register(record)
"""


@dataclass(frozen=True)
class Process:
    """What one process took: processor seconds, peak megabytes, and whether it imported torch."""

    seconds: float
    megabytes: float
    torch: bool


def study(folder: Path, font_size: float) -> Path:
    """Return a configuration of tiny measured studies whose figures have the default style but for the font size."""
    config = yaml.safe_load((ROOT / "workflow/smoke.yaml").read_text(encoding="utf-8"))
    config["figures"] = {"style": {"font_size": font_size}}
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def run(folder: Path, config: Path, cores: int, *words: str, environment: dict[str, str]) -> None:
    """Run the workflow in a folder, and show what it said if it fails."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", str(cores)]
    command += ["--configfile", str(config), "--quiet", "all", *words]
    done = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)


def jobs(records: Path) -> dict[str, list[Process]]:
    """Return what each process took, by the rule or program that it ran."""
    found = collections.defaultdict(list)
    for path in records.iterdir():
        name, seconds, megabytes, torch = path.read_text(encoding="utf-8").split()
        found["snakemake" if name == "__main__.py" else name].append(
            Process(float(seconds), float(megabytes), torch == "1")
        )
    return found


def measure(change: str, cores: int) -> None:
    """Print the elapsed time, and of each kind of job the processor time and the largest memory."""
    words, font_size = CHANGES[change]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        records, site = folder / "records", folder / "site"
        records.mkdir()
        site.mkdir()
        (site / "sitecustomize.py").write_text(RECORDER.format(folder=str(records)), encoding="utf-8")
        plain = dict(os.environ)
        run(folder, study(folder, FIRST_FONT_SIZE), cores, environment=plain)
        config = study(folder, font_size)
        path = os.pathsep.join(part for part in (str(site), plain.get("PYTHONPATH", "")) if part)
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        run(folder, config, cores, *words, environment={**plain, "PYTHONPATH": path})
        elapsed, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        report(jobs(records), elapsed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, cores)


def report(found: dict[str, list[Process]], elapsed: float, total: float, cores: int) -> None:
    """Print the table and what it comes to."""
    print(f"{'job':26} {'jobs':>4} {'CPU s':>7} {'CPU s per job':>13} {'peak MB':>8} {'torch':>5}")
    for rule, used in sorted(found.items(), key=lambda pair: -sum(process.seconds for process in pair[1])):
        seconds, peak = sum(process.seconds for process in used), max(process.megabytes for process in used)
        torch = "yes" if any(process.torch for process in used) else "no"
        print(f"{rule:26} {len(used):4} {seconds:7.1f} {seconds / len(used):13.1f} {peak:8.0f} {torch:>5}")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{total:.1f} s of processor time in all: {total / cores:.1f} s where {cores} cores share it evenly.")
    print(f"{elapsed:.1f} s elapsed on {cores} cores, load average at the end {load:.1f}; the limit is {LIMIT:.0f} s.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("change", choices=sorted(CHANGES))
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    measure(arguments.change, arguments.cores)
