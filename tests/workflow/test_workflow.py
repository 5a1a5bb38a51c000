"""The workflow end to end on the smoke study: what it makes, what it makes again, and how it fails."""

import re

import pyarrow.parquet as pq
import pytest
from result_tables import read_results

from peft_atlas.figures.spec import all_figures
from peft_atlas.report.material import Material
from peft_atlas.report.render import render_markdown
from peft_atlas.report.sections import build_sections
from peft_atlas.tables.contract import read_table, write_table
from peft_atlas.tables.names import ADDED
from peft_atlas.tables.schemas import CONTRACTS, COSTS, FINDINGS, RUNS, SUMMARY
from snakemake_logger_plugin_atlas.durations import reference_durations

pytestmark = pytest.mark.slow

FIGURES = {f"draw_{spec.name}" for spec in all_figures()}
ANALYSIS = {"combine_runs", "summarise_runs", "compare_sources", "collect_findings", "collect_costs", "render_report"}


def test_everything_is_made(smoked):
    # The smoke study leaves the decoder out, whose tables are those of a released run, where there is one.
    absent = [] if (smoked.folder / "data/released/decoder").is_dir() else ["decoder"]
    # Nobody added runs to it.
    for name, contract in ((name, each) for name, each in CONTRACTS.items() if name not in ADDED):
        rows = len(read_table(contract, smoked.folder / f"results/{name}.parquet"))
        assert bool(rows) == (name.partition("_")[0] not in absent), name
    for spec in (spec for spec in all_figures() if spec.study not in absent):
        for ending in ("pdf", "svg", "png", "csv", "json", "txt", "tex"):
            assert (smoked.folder / f"figures/{spec.name}.{ending}").stat().st_size
    for name in ("report.html", "report.md", "headlines.txt"):
        assert (smoked.folder / "results" / name).stat().st_size


def test_every_run_of_the_grid_is_a_row(smoked):
    runs = read_table(RUNS, smoked.folder / "results/runs.parquet")
    notebook = runs[runs["study"] == "notebook"]
    counts = notebook.groupby("experiment").size().to_dict()
    assert counts == {"baseline": 2 * 2 * 3, "dropout_after_A": 3, "sweep": 2 * 2 * 3, "tuned": 2 * 2 * 3}
    assert set(notebook["seed"]) == {0, 1, 2}


def test_the_checks_of_our_own_code_pass(smoked):
    findings = read_table(FINDINGS, smoked.folder / "results/findings.parquet")
    ours = findings[(findings["kind"] == "check") & (findings["source"] == "PEFT Atlas")]
    assert len(ours) >= 6
    assert ours[ours["verdict"] != "pass"]["id"].tolist() == []


def test_the_costs_hold_every_rule(smoked):
    costs = read_table(COSTS, smoked.folder / "results/costs.parquet")
    costs = costs[costs["run_id"].isna()]
    # But those that come after the costs are known.
    later = {"collect_costs", "render_report", "render_gallery", "write_paper"}
    later |= FIGURES
    assert set(costs["rule"]) == set(smoked.jobs("--forceall")) - later
    assert (costs["wall_seconds"] > 0).all()
    heavy = costs[costs["rule"].str.startswith("train_")]
    assert heavy["peak_memory_mb"].notna().all()


def test_every_measured_mean_carries_a_named_interval(smoked):
    summary = read_table(SUMMARY, smoked.folder / "results/summary.parquet")
    measured = summary[summary["mean"].notna()]
    assert measured["interval"].notna().all()
    # One seed has no interval over seeds: the rates that were tried and not chosen.
    alone = measured["n_ok"] == 1
    assert measured.loc[~alone, ["low", "high"]].notna().all().all()
    assert measured.loc[alone, ["low", "high"]].isna().all().all()
    # Validation is read for the seeds of the search alone, also at the rate that it chose; test for all.
    tested = measured["metric"].str.startswith("test_") & measured["selected"].fillna(value=True).astype(bool)
    assert not (alone & tested).any()


def test_a_second_run_does_nothing(smoked):
    assert smoked.jobs() == {}


def test_the_smoke_rule_with_other_cores_and_blocks_gives_the_same_tables_elsewhere(smoked, fresh):
    fresh.edit("workflow/smoke.yaml", "seeds_per_job: 2", "seeds_per_job: 1")
    # Two figures show that they are drawn. That the same tables give the same figures in another process is tested
    # figure by figure.
    unneeded = {spec.name for spec in all_figures()} - {"learning_curves", "commonsense_average"}
    for path in (fresh.folder / "src/peft_atlas/studies").glob("*/figures/*.py"):
        if path.stem in unneeded:
            path.unlink()
    done = fresh.snakemake("--cores", "4", "smoke", base="config.yaml")
    assert done.returncode == 0, done.stdout
    another = type(fresh)(fresh.folder / "results/smoke")
    assert (another.folder / "results/report.html").is_file()
    left, right = smoked.data_files(), another.data_files()
    combined = {name for name in left if name.startswith("results/") and "/runs/" not in name}
    tables = {f"results/{path.name}" for path in smoked.folder.glob("results/*.parquet")}
    assert combined >= {name for name in tables if not name.endswith("costs.parquet")}
    assert {name: left[name] for name in combined} == {name: right[name] for name in combined}
    assert fresh.jobs("smoke", base="config.yaml") == {}


def test_jobs_in_processes_of_their_own_give_the_bytes_of_forks(smoked, project):
    """The runs of the tests fork their jobs, to save the imports; a user's do not."""
    jobs = ("notebook/tuned/held_out", "adaptation/ranks/shift=2_examples=16", "laboratory/variants")
    jobs = (*jobs, "encoder/methods/trec6/lora_query_value", "encoder/ranks/trec6/rank=1")
    targets = [f"results/runs/{job}.runs.parquet" for job in jobs]
    for target in targets:
        (project.folder / target).unlink()
    done = project.snakemake(*targets, prefix=("env",))
    assert done.returncode == 0, done.stdout
    assert all(f"train_{rule}: " in done.stdout for rule in ("tuned", "adaptation", "laboratory", "primary", "rank"))
    assert project.data_files() == smoked.data_files()


def test_the_times_that_come_with_the_package_know_every_rule_of_a_default_run(fresh):
    rules = set(fresh.jobs(base="config.yaml"))
    assert len(rules) > 60
    assert rules <= set(reference_durations().known)


def test_a_changed_alpha_list_reruns_the_sweep_and_what_follows(smoked):
    jobs = smoked.jobs(config={"notebook": {"alphas": [1, 8]}})
    assert jobs["train_sweep"] == 2
    assert "train_baseline" not in jobs
    assert "load_published" not in jobs
    assert set(jobs) >= ANALYSIS


def test_a_changed_baseline_leaves_the_sweep(smoked):
    jobs = smoked.jobs(config={"notebook": {"baseline": {"rank": 1}}})
    assert jobs["train_baseline"] == 4
    assert "train_sweep" not in jobs


def test_more_seeds_train_only_the_new_blocks(smoked):
    jobs = smoked.jobs(config={"seeds": 6})
    # Blocks 0-1, 2-3 and 4-5: the second held seed 2 alone before.
    assert jobs["train_sweep"] == 2
    assert jobs["train_baseline"] == 4


def test_a_changed_rate_tunes_its_family_again_and_what_rests_on_it(smoked):
    jobs = smoked.jobs(config={"encoder": {"rates": {"low_rank": [0.001, 0.01]}}})
    rules = ("train_primary", "train_setting", "train_rank", "train_budget", "train_random_init")
    # LoRA on two choices of modules, one of them primary, rank 1, and LoRA at the larger budget.
    assert {rule: jobs.get(rule) for rule in rules} == dict(zip(rules, (1, 1, 1, 1, None), strict=True))
    assert not {"fetch_model", "fetch_texts", "prepare_text", "train_sweep"} & set(jobs)


def test_one_more_seed_of_the_primary_question_trains_its_two_settings_again(smoked):
    jobs = smoked.jobs(config={"encoder": {"primary": {"seeds": 3}}})
    assert jobs["train_primary"] == 2
    assert not {"train_setting", "train_rank", "train_budget", "prepare_text", "train_baseline"} & set(jobs)


def test_a_changed_style_redraws_figures_and_report_only(smoked):
    jobs = smoked.jobs(config={"figures": {"style": {"font_size": 9}}})
    assert set(jobs) == FIGURES | {"render_report", "render_gallery"}


def test_a_changed_confidence_trains_nothing(smoked):
    jobs = smoked.jobs(config={"statistics": {"confidence": 0.9}})
    assert "summarise_runs" in jobs
    assert not {"train_baseline", "train_sweep"} & set(jobs)


# What a digest covers is tested without the workflow; here, that a rule reruns where its own has changed.
@pytest.mark.parametrize(
    ("module", "runs", "spared"),
    [
        ("population.py", {"train_baseline", "train_sweep", "check_notebook"}, {"load_published", "compute_memory"}),
        (
            "studies/notebook/figures/learning_curves.py",
            {"draw_learning_curves", "render_report"},
            {"draw_rank_alpha_heatmap"},
        ),
        (
            "studies/record/sweep.py",
            {"collect_findings", "draw_best_rate_by_rank"},
            {"load_record", "draw_pareto_fronts"},
        ),
    ],
)
def test_a_changed_library_file_reruns_what_imports_it(project, module, runs, spared):
    path = project.folder / "src/peft_atlas" / module
    path.write_text(path.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
    jobs = set(project.jobs())
    assert runs <= jobs
    assert not spared & jobs


def test_figures_come_from_the_combined_tables_alone(project):
    for part in (project.folder / "results/runs").rglob("*.parquet"):
        part.unlink()
    for picture in (project.folder / "figures").glob("*.svg"):
        picture.unlink()
    assert set(project.jobs("figures")) == FIGURES
    # One figure of each kind of study; all would take as long as the studies.
    some = [f"figures/{name}.svg" for name in ("learning_curves", "commonsense_average", "encoder_differences")]
    assert project.snakemake(*some).returncode == 0
    assert all((project.folder / name).is_file() for name in some)


# Every message is tested where it is made, in the tests of the configuration.
def test_a_wrong_configuration_stops_before_any_job(smoked):
    before = smoked.data_files()
    done = smoked.snakemake(config={"notebok": {"a": 1}})
    assert done.returncode != 0
    lines = [line for line in done.stdout.splitlines() if "config: notebok = {'a': 1}: unknown key" in line]
    assert len(lines) == 1
    assert "Traceback" not in done.stdout
    assert "Job stats" not in done.stdout
    assert smoked.data_files() == before


def test_a_truncated_part_is_named_and_combines_into_nothing(project):
    part = project.folder / "results/runs/notebook/sweep/held_out/block=0.runs.parquet"
    part.write_bytes(part.read_bytes()[:-20])
    (project.folder / "results/runs.parquet").unlink()
    done = project.snakemake("results/runs.parquet", "--rerun-triggers", "input")
    assert done.returncode != 0
    assert "block=0.runs.parquet: not a complete Parquet file" in done.stdout
    assert "logs/combine_runs.log" in done.stdout
    assert not (project.folder / "results/runs.parquet").exists()


def test_a_diverged_run_is_a_row_in_table_and_report(project):
    part = project.folder / "results/runs/notebook/sweep/held_out/block=0.runs.parquet"
    runs = read_table(RUNS, part)
    metrics = ["train_loss", "validation_loss", "validation_accuracy", "test_loss", "test_accuracy"]
    runs.loc[0, metrics] = None
    runs.loc[0, ["status", "reason"]] = ["diverged", "made so by a test"]
    write_table(RUNS, runs, part)
    # Its study's figures can be drawn; the report is built from the tables here, without the figures of the others.
    figures = [f"figures/{spec.name}.svg" for spec in all_figures() if spec.study == "notebook"]
    done = project.snakemake("results/findings.parquet", *figures, "--rerun-triggers", "mtime")
    assert done.returncode == 0, done.stdout
    whole = read_results(project.folder / "results", CONTRACTS)
    diverged = whole["runs"]["status"] == "diverged"
    assert whole["runs"][diverged]["run_id"].tolist() == [runs["run_id"][0]]
    material = Material(whole, (), ("notebook",), "", (0, 1, 2), 0.95, {}, "code", "machine")
    report = render_markdown(build_sections(material))
    assert f"| {runs['run_id'][0]} | diverged | made so by a test |" in report


def test_a_failing_job_says_which_why_and_where_its_log_is(project):
    project.edit(
        "src/peft_atlas/studies/notebook/figures/learning_curves.py",
        "label_panels(axes)",
        "raise ValueError('made to fail')",
    )
    done = project.snakemake("figures")
    assert done.returncode != 0
    assert "Error in rule draw_learning_curves" in done.stdout
    assert "made to fail" in done.stdout
    assert "logs/figures/learning_curves.log" in done.stdout


def test_a_new_figure_module_is_a_new_rule(project):
    folder = project.folder / "src/peft_atlas/studies/literature/figures"
    text = (folder / "commonsense_average.py").read_text(encoding="utf-8")
    (folder / "another.py").write_text(text.replace('name="commonsense_average"', 'name="another"'), encoding="utf-8")
    assert project.jobs("figures") == {"draw_another": 1}


def test_a_new_published_table_reaches_findings_figures_and_report(project):
    cell = "LLaMA-7B,{},{},{},{},percent,reft_v3,Table 99,verbatim,"
    rows = [cell.format("NewMethod", task, "accuracy_percent", "61.0") for task in ("one", "two", "Avg")]
    rows.append(cell.format("NewMethod", "Reading", "trainable_params_percent", "0.02"))
    header = (project.folder / "data/published/commonsense.csv").read_text(encoding="utf-8").splitlines()[0]
    path = project.folder / "data/published/Reading.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    due = project.jobs()
    assert {"load_published", "find_conflicts", "collect_findings", "draw_pareto_fronts", "render_report"} <= set(due)
    assert "count_parameters" not in due
    done = project.snakemake("figures/pareto_fronts.csv", "results/findings.parquet")
    assert done.returncode == 0, done.stdout
    plotted = (project.folder / "figures/pareto_fronts.csv").read_text(encoding="utf-8")
    assert "Reading,NewMethod,61.0" in plotted
    assert "row_mean_reading_reft_v3" in pq.read_table(project.folder / "results/findings.parquet")["id"].to_pylist()
    path.write_text("\n".join([header, *rows, rows[0]]) + "\n", encoding="utf-8")
    done = project.snakemake("results/published.parquet")
    assert done.returncode
    assert "Reading.csv:6: the cell ('LLaMA-7B', 'NewMethod', 'one'" in done.stdout


def test_progress_and_findings_are_printed(project):
    for name in ("report.html", "report.md"):
        (project.folder / "results" / name).unlink()
    done = project.snakemake()
    lines = done.stdout.splitlines()
    first = next(number for number, line in enumerate(lines) if re.match(r"\d+ jobs on 2 cores: about \d+ s", line))
    # The report alone has no benchmark file, so its time is that of the run that comes with the plugin.
    assert "judging by a run of the default study elsewhere" in lines[first]
    assert re.match(r"\[1/\d\] render_report: writing the report \(\d+ s\)", lines[first + 1])
    assert "Report: results/report.html" in done.stdout


def test_training_rules_ask_for_a_gpu_only_when_configured(project):
    # A job with a message does not print its resources, so the messages go.
    for path in (project.folder / "workflow/rules").glob("*.smk"):
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r" +message:\n.*\n", "", text), encoding="utf-8")

    def rules_with_gpu(device):
        done = project.snakemake("--dry-run", "--forceall", config={"device": device})
        assert done.returncode == 0, done.stdout
        jobs = re.findall(r"^(?:local)?rule (\w+):\n((?: {4}.*\n)+)", done.stdout, flags=re.MULTILINE)
        assert len(jobs) > 20
        return {name for name, body in jobs if "gpu=" in body}

    assert rules_with_gpu("cpu") == set()
    assert rules_with_gpu("auto") == set()
    assert rules_with_gpu("cuda") == {
        *("train_baseline", "train_sweep", "train_tuned", "check_notebook", "train_laboratory"),
        "measure_intruders",
        *("train_primary", "train_setting", "train_rank", "train_budget", "train_random_init"),
        *("pretrain_adaptation", "train_adaptation"),
    }


def test_it_runs_from_another_folder(root, elsewhere):
    smoke = str(root / "workflow/smoke.yaml")
    done = elsewhere.snakemake("results/published.parquet", "-s", str(root / "Snakefile"), base=smoke)
    assert done.returncode == 0, done.stdout
    assert (elsewhere.folder / "results/published.parquet").is_file()
