"""Around a run: clock, estimate, time left, what a killed run left behind, and what a failure leaves out."""

import logging

from peft_atlas.snakemake_support.mtimes import bring_to_the_present
from peft_atlas.snakemake_support.estimate import describe, earlier_seconds, request_of
from peft_atlas.snakemake_support.stale_slurm_jobs import cancel_orphans
from peft_atlas.snakemake_support.progress import TimeLeft, Watcher
from peft_atlas.report.incomplete import write_incomplete_report

HEADLINES = Path("results/headlines.txt")
INCOMPLETE = Path("results/incomplete_report")
# The plugin for Slurm makes it; where it is not, no job of this folder can be in a queue.
SLURM_LOGS = Path(".snakemake/slurm_logs")


def begin_run():
    """Return the estimate of the run that is about to start, and what guesses its time left."""
    jobs = [job for job in workflow.dag.needrun_jobs() if not job.is_norun]
    requests = [
        request_of(
            job.rule.name,
            job.threads,
            dict(job.resources.items()),
            light=job.rule.name in workflow._localrules,
        )
        for job in jobs
    ]
    seconds = earlier_seconds(Path("results/benchmarks").glob("*/*.tsv"))
    rules = {job.jobid: job.rule.name for job in jobs}
    return describe(requests, seconds), TimeLeft(rules, seconds)


if workflow.is_main_process:
    FOLDERS = [
        Path("results"),
        Path("figures"),
        SOURCES,
        ROOT / "workflow",
        ROOT / "data",
    ]
    LATE = bring_to_the_present(
        file for folder in FOLDERS for file in folder.rglob("*") if file.is_file()
    )
    if LATE:
        print(f"{LATE} files were made after now; is the clock right?", file=sys.stderr)
    logging.getLogger("snakemake.logging").addHandler(Watcher(begin_run))


def free_from_orphans():
    """Cancel the cluster jobs of an earlier run that was killed, before this one submits the same."""
    try:
        orphans = cancel_orphans(Path.cwd())
    except AtlasError as error:
        sys.exit(str(error))
    for orphan in orphans:
        print(
            f"Cancelled Slurm job {orphan.number} of a killed run: {orphan.task}",
            file=sys.stderr,
        )


def report_what_there_is():
    """Return a line about the report that a failed run could still write."""
    return write_incomplete_report(
        INCOMPLETE,
        results(*REPORT_TABLES),
        [Path(f"figures/{name}") for name in FIGURES],
        [str(file) for job in workflow.dag.needrun_jobs() for file in job.output],
        sorted(Path("results/benchmarks").glob("*/*.tsv")),
        CONFIG.model_dump(mode="json"),
        ROOT,
    )


onstart:
    # Without the folder's lock another run may be under way, whose jobs are no orphans.
    if workflow.execution_settings.lock and SLURM_LOGS.is_dir():
        free_from_orphans()


onsuccess:
    for file in INCOMPLETE.parent.glob(f"{INCOMPLETE.name}*"):
        file.unlink()
    # Only what this run reported: another target must not repeat an older report's findings.
    if HEADLINES.is_file() and HEADLINES.stat().st_mtime >= STARTED:
        print(HEADLINES.read_text(encoding="utf-8"), file=sys.stderr)


onerror:
    print("A job failed: above stand its rule, why, and its log.", file=sys.stderr)
    print(report_what_there_is(), file=sys.stderr)
