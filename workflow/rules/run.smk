"""Around a run: the clock, what a killed run left behind, and what a failure leaves out.

What is printed while it runs is the work of the logger plugin `snakemake_logger_plugin_atlas`.
"""

import threading
import time

from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

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
        say(f"{late} files were made after now; is the clock right?")


def free_from_orphans():
    """Cancel the cluster jobs of an earlier run that was killed, before this one submits the same."""
    try:
        orphans = cancel_orphans(Path.cwd())
    except AtlasError as error:
        sys.exit(str(error))
    for orphan in orphans:
        say(f"Cancelled Slurm job {orphan.number} of a killed run: {orphan.task}")


def be_patient_with_slurm():
    """Let the plugin for Slurm keep its jobs while Slurm does not answer; before Snakemake makes its executor."""
    plugins = ExecutorPluginRegistry()
    if plugins.is_installed("slurm"):
        # Imported here, since the plugin may not be installed.
        from peft_atlas.snakemake_support.slurm_executor import PatientExecutor

        plugins.get_plugin("slurm").executor = PatientExecutor


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
        say(f"results/records.json.gz: not kept ({error})")


def check_device_here():
    """Stop where the device asked for is missing, before the first job removes its outputs; a cluster has its own."""
    if not workflow.executor_plugin.common_settings.non_local_exec:
        try:
            check_device(CONFIG)
        except AtlasError as error:
            sys.exit(str(error))


be_patient_with_slurm()


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
        say(left)
    # Only what this run reported: another target must not repeat an older report's findings.
    if HEADLINES.is_file() and HEADLINES.stat().st_mtime >= STARTED:
        say(HEADLINES.read_text(encoding="utf-8"))


onerror:
    stop_timers()
    keep_what_is_known()
    say("A job failed: its rule, the reason and its log are above.")
    say(report_what_there_is())
