"""What README and docs say works: commands run, the graph is the workflow's, links lead somewhere."""

import re
import shlex
import subprocess
import sys

import pytest
import yaml

from peft_atlas.config import load_config
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


PAGES = ("README.md", "CONTRIBUTING.md", "docs/how-to.md", "docs/architecture.md", "docs/memory.md")


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
        # Another study and the tiny one through every rule take minutes; that they are planned is enough here.
        dry = ["--dry-run"] if {"smoke", "my.yaml"} & set(rest) else []
        # The study of the README's own, on top of the tiny one that this project has run.
        own = [word for word in rest if word not in ("--configfile", "my.yaml")]
        config = yaml.safe_load(example) if "my.yaml" in rest else None
        done = project.snakemake(*own, *dry, config=config)
        assert done.returncode == 0, done.stdout
        assert not dry or "Job stats" in done.stdout


def test_the_planner_commands_of_every_page_run(root):
    ran = [words[1:] for words in commands(root) if words and words[0] == "peft-atlas"]
    shipped = [words for words in ran if not any(".json" in word or "/" in word for word in words)]
    assert len(shipped) >= 2
    for words in shipped:
        done = subprocess.run([sys.executable, "-m", "peft_atlas.cli", *words], text=True, capture_output=True)
        assert done.returncode == 0, done.stderr


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
