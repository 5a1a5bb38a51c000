"""The graph of the rules, as docs/how-to.md shows it: `python -m peft_atlas.snakemake_support.rulegraph FILE`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

_FENCE = "```"
_BLOCK = re.compile(rf"{_FENCE}mermaid\n.*?{_FENCE}", flags=re.DOTALL)
_FIGURES = "draw_*"
# The targets, which only collect what others make.
_TARGETS = ("all",)


def merge_figures(mermaid: str) -> str:
    """Return Snakemake's ``--rulegraph mermaid-js`` as a plain flow chart in which the figures' rules are one.

    Nodes and edges are sorted, so that the order in which Snakemake lists them does not matter.
    """
    names = {key: _name(rule) for key, rule in re.findall(r"^\s*(\w+)\[(\w+)\]", mermaid, flags=re.MULTILINE)}
    pairs = re.findall(r"^\s*(\w+) --> (\w+)", mermaid, flags=re.MULTILINE)
    named = {(names[left], names[right]) for left, right in pairs}
    # A rule that reads what another job of its own wrote is one node without an edge to itself.
    edges = _reduced({edge for edge in named if not set(edge) & set(_TARGETS) and edge[0] != edge[1]})
    nodes = sorted({name for edge in edges for name in edge})
    keys = {name: re.sub(r"\W", "", name) for name in nodes}
    lines = [f'    {keys[name]}["{name}"]' for name in nodes]
    lines += [f"    {keys[left]} --> {keys[right]}" for left, right in sorted(edges)]
    return "\n".join(["flowchart LR", *lines])


def _reduced(edges: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return the edges that no longer way between the same nodes makes needless."""
    kept = set(edges)
    for edge in sorted(edges):
        if _reaches(*edge, kept - {edge}):
            kept.remove(edge)
    return kept


def _reaches(start: str, end: str, edges: set[tuple[str, str]]) -> bool:
    """Return whether a way leads from one node to another; rules whose jobs feed each other make a circle."""
    found, new = {start}, {start}
    while new:
        new = {right for left, right in edges if left in new} - found
        found |= new
    return end in found


def _name(rule: str) -> str:
    return _FIGURES if rule.startswith("draw_") else rule


def put_graph(readme: str, graph: str) -> str:
    """Return a page with its one Mermaid block replaced by a graph."""
    return _BLOCK.sub(lambda _: f"{_FENCE}mermaid\n{graph}\n{_FENCE}", readme, count=1)


def write_graph(readme: Path, mermaid: str) -> None:
    """Write the graph into a page."""
    text = readme.read_text(encoding="utf-8")
    readme.write_text(put_graph(text, merge_figures(mermaid)), encoding="utf-8")


def snakemakes_graph() -> str:
    """Return the graph of the workflow in this folder as Snakemake draws it."""
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--rulegraph", "mermaid-js", "--", "all"]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    write_graph(Path(sys.argv[1]), snakemakes_graph())
