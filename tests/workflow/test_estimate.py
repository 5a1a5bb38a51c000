"""What a dry run says of a large grid, and what a site changes without touching the workflow."""

import re

import pytest

pytestmark = pytest.mark.slow

# 30 cells of the sweep in each of 67 seeds.
GRID = {"studies": ["notebook"], "seeds": 67}


def dry_run(project, root, *words, **config):
    done = project.snakemake(
        "--dry-run", "-s", str(root / "Snakefile"), *words, base=str(root / "config.yaml"), config={**GRID, **config}
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_two_thousand_runs_are_a_few_dozen_jobs_of_the_same_size(elsewhere, root):
    said = dry_run(elsewhere, root)
    assert 20 <= int(re.search(r"Estimate: (\d+) jobs to submit", said)[1]) <= 36
    assert "  7 x train_sweep: 1 CPU, 0 GPU, 1,000 MB, 20 min at most" in said
    # The batch inflates no request: one seed per job asks for the same.
    single = dry_run(elsewhere, root, notebook={"seeds_per_job": 1})
    assert "  67 x train_sweep: 1 CPU, 0 GPU, 1,000 MB, 20 min at most" in single


def test_a_site_gives_one_rule_more_and_names_its_gpus(elsewhere, root):
    words = ("--set-resources", "train_sweep:mem_mb=4000", "--set-threads", "train_sweep=2")
    gpus = ("--resources", "gpu=4", "--default-resources", "gpu_gres=gpu:a100")
    said = dry_run(elsewhere, root, *words, *gpus, device="auto")
    assert "  7 x train_sweep: 2 CPU, 1 GPU, 4,000 MB, 20 min at most" in said
    assert re.search(r"  14 x train_baseline: 1 CPU, 1 GPU, 1,000 MB", said)
    assert "4,000 MB in the largest job" in said
