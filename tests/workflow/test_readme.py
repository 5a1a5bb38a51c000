"""What README and docs say works: commands run, the graph is the workflow's, links lead somewhere."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile

import pytest
import torch
import yaml

from peft_atlas.config import load_config
from peft_atlas.result_sets import released_bundle
from peft_atlas.snakemake_support.rulegraph import merge_figures, put_graph

GRAPH = """---
title: DAG
---
flowchart TB
\tid0[all]
\tid1[render_report]
\tid2[draw_a]
\tid3[draw_b]
\tid4[load]
\tstyle id0 fill:#D95757
\tid1 --> id0
\tid2 --> id1
\tid3 --> id1
\tid4 --> id2
\tid4 --> id1
\tid4 --> id4
"""


PAGES = (
    *("README.md", "CONTRIBUTING.md", "docs/index.md", "docs/how-to.md", "docs/using-results.md", "docs/faq.md"),
    *("docs/architecture.md", "docs/memory.md", "docs/api.md", "docs/slurm.md"),
)


def pages(root):
    """Return the text of every page, by name."""
    return {name: (root / name).read_text(encoding="utf-8") for name in PAGES}


def blocks(root, language):
    """Return the fenced blocks of all pages in a language."""
    text = "\n".join(pages(root).values())
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def commands(root):
    lines = [line for block in blocks(root, "sh") for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines]


def test_figures_are_one_node_and_a_longer_way_replaces_an_edge():
    lines = merge_figures(GRAPH).splitlines()
    assert lines[0] == "flowchart LR"
    assert [line.strip() for line in lines if "-->" in line] == ["draw_ --> render_report", "load --> draw_"]
    page = put_graph("before\n```mermaid\nold\n```\nafter", "new")
    assert page == "before\n```mermaid\nnew\n```\nafter"


def test_the_links_of_every_page_lead_to_files(root):
    found = {name: re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", text) for name, text in pages(root).items()}
    assert found["README.md"]
    lost = [
        (name, link) for name, links in found.items() for link in links if not ((root / name).parent / link).exists()
    ]
    assert lost == []


def test_the_readme_is_short(root):
    assert len((root / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_the_examples_of_configurations_are_some(root):
    read = [load_config(yaml.safe_load(example)) for example in blocks(root, "yaml")]
    assert {config.figures.style.preset for config in read} == {"one_column", "two_columns"}
    assert [task.name for config in read for task in config.encoder.tasks if task.file == "mine.csv"]


def test_every_make_target_of_the_readme_exists(root):
    text = "\n".join(pages(root).values())
    targets = {words[1] if len(words) > 1 else "all" for words in commands(root) if words and words[0] == "make"}
    targets |= set(re.findall(r"`make ([a-z-]+)`", text))
    assert {"all", "test", "bench", "docs", "fast-test"} <= targets
    for target in sorted(targets):
        done = subprocess.run(["make", "--dry-run", target], cwd=root, text=True, capture_output=True)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_graph_of_the_readme_is_the_workflows(root):
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--rulegraph", "mermaid-js", "all"]
    done = subprocess.run(command, cwd=root, text=True, capture_output=True, check=True)
    assert blocks(root, "mermaid") == [merge_figures(done.stdout) + "\n"], "run `make docs`"


@pytest.mark.slow
def test_the_snakemake_commands_of_the_readme_run(root, project):
    example = next(example for example in blocks(root, "yaml") if "one_column" in example)
    (project.folder / "my.yaml").write_text(example, encoding="utf-8")
    ran = [words[1:] for words in commands(root) if words and words[0] == "snakemake"]
    assert len(ran) >= 6
    for words in ran:
        cores = words.index("--cores")
        rest = words[:cores] + words[cores + 2 :]
        # Other studies, a stage of several and the tiny one through every rule take minutes; the last two are run by
        # tests of their own, and that the commands are planned is enough here.
        dry = ["--dry-run"] if {"smoke", "my.yaml", "--config"} & set(rest) else []
        # The study of the README's own, on top of the tiny one that this project has run.
        own = [word for word in rest if word not in ("--configfile", "my.yaml")]
        config = yaml.safe_load(example) if "my.yaml" in rest else None
        done = project.snakemake(*own, *dry, config=config)
        assert done.returncode == 0, done.stdout
        assert not dry or "Job stats" in done.stdout


@pytest.fixture(scope="module")
def user_folder(root, tmp_path_factory):
    """Return a folder with what the commands of the pages speak of: results, older results, and a file of runs."""
    folder = tmp_path_factory.mktemp("user")
    with zipfile.ZipFile(released_bundle()) as bundle:
        tables = [name for name in bundle.namelist() if name.startswith("results/")]
        bundle.extractall(folder, tables)
    shutil.copytree(folder / "results", folder / "old-results")
    (folder / "runs.csv").write_text(blocks(root, "csv")[0], encoding="utf-8")
    return folder


def peft_atlas_commands(root):
    """Return the commands of all pages but `refresh`, which needs a clone of another repository, whose tests run it."""
    found = [words[1:] for words in commands(root) if words and words[0] == "peft-atlas"]
    return [words for words in found if words[0] != "refresh"]


@pytest.mark.slow
def test_the_light_commands_of_every_page_run(root, user_folder):
    ran = [words for words in peft_atlas_commands(root) if words[0] not in ("run", "report")]
    assert {words[0] for words in ran} >= {"plan", "count", "init", "export", "diff", "add"}
    for words in ran:
        command = [sys.executable, "-m", "peft_atlas.cli", *words]
        environment = {**os.environ, "PYTHONPATH": str(root / "src")}
        done = subprocess.run(command, cwd=user_folder, env=environment, text=True, capture_output=True)
        assert done.returncode == 0, (words, done.stderr)


@pytest.mark.slow
def test_the_workflow_commands_of_every_page_are_planned(root, tmp_path):
    ran = [words for words in peft_atlas_commands(root) if words[0] in ("run", "report")]
    assert {words[0] for words in ran} == {"run", "report"}
    for words in ran:
        command = [sys.executable, "-m", "peft_atlas.cli", *words, "--dry-run"]
        environment = {**os.environ, "PYTHONPATH": str(root / "src")}
        done = subprocess.run(command, cwd=tmp_path, env=environment, text=True, capture_output=True)
        assert done.returncode == 0, (words, done.stderr)
        assert "Job stats" in done.stdout


def test_the_python_snippets_of_every_page_run(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    snippets = [text for text in blocks(root, "python") if not text.startswith("use rule")]
    assert len(snippets) >= 2
    parts = {name: torch.nn.Linear(4, 4) for name in ("query", "value", "classifier")}
    for snippet in snippets:
        exec(snippet, {"torch": torch, "model": torch.nn.ModuleDict(parts)})
    assert (tmp_path / "adapter/adapter_config.json").is_file()


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(root, tmp_path):
    build = [
        sys.executable,
        "-m",
        "sphinx",
        "--fail-on-warning",
        "--quiet",
        "--builder",
        "html",
        root / "docs",
        tmp_path,
    ]
    done = subprocess.run(build, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    for page in (root / "docs").glob("*.md"):
        assert (tmp_path / f"{page.stem}.html").is_file()
    assert (tmp_path / "report.html").read_bytes() == (root / "docs/report.html").read_bytes()
    assert "peft_atlas.result_sets." in (tmp_path / "api.html").read_text(encoding="utf-8")


def test_the_catalog_and_the_citation_are_whole(root):
    catalog = yaml.safe_load((root / ".snakemake-workflow-catalog.yml").read_text(encoding="utf-8"))
    assert catalog["usage"]["report"] is True
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "title", "version", "license", "authors"} <= set(citation)
    version = subprocess.run(
        [sys.executable, "-c", "import peft_atlas; print(peft_atlas.__version__)"],
        text=True,
        capture_output=True,
        check=True,
        cwd=root / "src",
    )
    assert citation["version"] == version.stdout.strip()
