"""What Snakemake itself costs: its share of a core while jobs run, and the time of a dry run.

Run it with ``make bench-driver``. The first is the processor time of the driver alone, without its jobs, from the
first job's start to the last one's end, in a study of some forty jobs of a few seconds to a minute each. The second is
the best of five dry runs of the default study in an empty folder; on a machine that others use, look at its processor
time. ``--snakefile`` measures another copy of the workflow.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import yaml

ROOT = Path(__file__).resolve().parents[1]
SHARE_LIMIT, DRY_LIMIT = 3.0, 2.0
# Long enough for the jobs that wait to weigh on the scheduler, short enough for a bench.
STUDY = {"studies": ["notebook", "adaptation"], "seeds": 2}
DRY_RUNS = 5
_EVERY_SECONDS = 0.1


def command(snakefile: Path, cores: int, *words: str) -> list[str]:
    """Return the command that runs the workflow."""
    return [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "--cores", str(cores), *words]


def driver_share(snakefile: Path, cores: int) -> tuple[float, float]:
    """Return the seconds during which jobs ran, and the processor seconds that the driver took in them."""
    with tempfile.TemporaryDirectory() as name:
        config = Path(name) / "study.yaml"
        config.write_text(yaml.safe_dump(STUDY), encoding="utf-8")
        words = command(snakefile, cores, "results/summary.parquet", "--configfile", str(config))
        with (Path(name) / "driver.txt").open("w", encoding="utf-8") as log:
            process = psutil.Popen(words, cwd=name, stdout=log, stderr=subprocess.STDOUT)
            samples = watch(process)
        if process.wait() or len(samples) < 2:
            sys.exit((Path(name) / "driver.txt").read_text(encoding="utf-8"))
    (start, before), (end, after) = samples[0], samples[-1]
    return end - start, after - before


def watch(process: psutil.Popen) -> list[tuple[float, float]]:
    """Return clock and processor seconds of a process alone, sampled while it has children."""
    samples = []
    while process.poll() is None:
        try:
            if process.children():
                used = process.cpu_times()
                samples.append((time.perf_counter(), used.user + used.system))
        except psutil.NoSuchProcess:
            break
        time.sleep(_EVERY_SECONDS)
    return samples


def dry_run(snakefile: Path) -> tuple[float, float]:
    """Return the wall and processor seconds of a dry run of the default study in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command(snakefile, 1, "--dry-run"), cwd=folder, capture_output=True, check=True)
        elapsed, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return elapsed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print both figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--snakefile", type=Path, default=ROOT / "Snakefile")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--dry-run-only", action="store_true")
    arguments = parser.parse_args()
    runs = [dry_run(arguments.snakefile) for _ in range(DRY_RUNS)]
    wall, processor = (min(column) for column in zip(*runs, strict=True))
    print(
        f"Dry run: {wall:.2f} s elapsed, {processor:.2f} s of processor time, best of {DRY_RUNS} (limit {DRY_LIMIT} s)"
    )
    if not arguments.dry_run_only:
        elapsed, used = driver_share(arguments.snakefile, arguments.cores)
        share = 100 * used / elapsed
        print(f"Driver: {used:.1f} s of processor in {elapsed:.0f} s: {share:.1f} % of a core, limit {SHARE_LIMIT} %.")
    print(f"Load average at the end: {os.getloadavg()[0]:.1f}.")


if __name__ == "__main__":
    main()
