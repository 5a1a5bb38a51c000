"""Around a run: the clock, what a killed run left behind, and what a failure leaves out.

What is printed while it runs is the work of the logger plugin `snakemake_logger_plugin_atlas`.
"""

import threading
import time

from peft_atlas.studies.encoder.preflight import check_device
from peft_atlas.snakemake_support.interrupts import stop_in_order
from peft_atlas.snakemake_support.leftovers import (
    figures_asked_for,
    left_over_figures,
)
from peft_atlas.snakemake_support.mtimes import bring_to_the_present
from peft_atlas.snakemake_support.records import keep_records
from peft_atlas.snakemake_support.own_command import unfinished_outputs
from peft_atlas.snakemake_support.stale_slurm_jobs import cancel_orphans

STARTED = time.time()
HEADLINES = Path("results/headlines.txt")
INCOMPLETE = Path("results/incomplete_report")
# The plugin for Slurm makes it; where it is not, no job of this folder can be in a queue.
SLURM_LOGS = Path(".snakemake/slurm_logs")


def correct_the_clock():
    """Give results, and files that a rule reads, a time before now where theirs lies ahead of the clock."""
    made = (
        file for folder in ("results", "figures") for file in Path(folder).rglob("*")
    )
    late = bring_to_the_present(
        file
        for file in (
            *made,
            *map(Path, [*PUBLISHED_FILES, *RECORD_FILES]),
            *map(Path, TEMPLATES),
        )
        if file.is_file()
    )
    if late:
        print(f"{late} files were made after now; is the clock right?", file=sys.stderr)


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
    # Imported here, since it needs half as long as reading all rules.
    from peft_atlas.report.incomplete import write_incomplete_report

    return write_incomplete_report(
        INCOMPLETE,
        results(*REPORT_TABLES),
        [Path(f"figures/{name}") for name in FIGURES],
        unfinished_outputs(since=STARTED),
        sorted(Path("results/benchmarks").glob("*/*.tsv")),
        CONFIG.model_dump(mode="json"),
        ROOT,
    )


def stop_timers():
    """Cancel the timers by which Snakemake would look again for free slots, and for which it would wait at its end."""
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.cancel()


def keep_what_is_known():
    """Keep Snakemake's records with the results; a run does not fail for want of them."""
    try:
        keep_records(Path.cwd())
    except (AtlasError, OSError) as error:
        print(f"results/records.json.gz: not kept ({error})", file=sys.stderr)


def check_device_here():
    """Stop where the device asked for is missing, before the first job removes its outputs; a cluster has its own."""
    if not workflow.executor_plugin.common_settings.non_local_exec:
        try:
            check_device(CONFIG)
        except AtlasError as error:
            sys.exit(str(error))


onstart:
    stop_in_order()
    check_device_here()
    correct_the_clock()
    # Without the folder's lock another run may be under way, whose jobs are no orphans.
    if workflow.execution_settings.lock and SLURM_LOGS.is_dir():
        free_from_orphans()


onsuccess:
    stop_timers()
    keep_what_is_known()
    for file in INCOMPLETE.parent.glob(f"{INCOMPLETE.name}*"):
        file.unlink()
    if left := left_over_figures(Path("figures"), {*FIGURES, *figures_asked_for()}):
        print(left, file=sys.stderr)
    # Only what this run reported: another target must not repeat an older report's findings.
    if HEADLINES.is_file() and HEADLINES.stat().st_mtime >= STARTED:
        print(HEADLINES.read_text(encoding="utf-8"), file=sys.stderr)


onerror:
    stop_timers()
    keep_what_is_known()
    print(
        "A job failed: its rule, the reason and its log are above.", file=sys.stderr
    )
    print(report_what_there_is(), file=sys.stderr)
