"""The pages of the documentation: their text, their fenced blocks, and the commands that they give."""

import re
import shlex

FENCED = re.compile(r"^```([^\n]*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
# Code within a sentence is a command if it begins with a program and goes on.
PROGRAM = re.compile(r"(make|pip|python|snakemake|peft-atlas \S+) ")
# A, N and the like, dots, and words in angle brackets stand for what a reader puts there.
TEMPLATE = re.compile(r"^[A-Z]+$|\.\.\.|^<")


def pages(root):
    """Return the text of every page, by its path in the repository."""
    files = [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").glob("*.md"))]
    return {file.relative_to(root).as_posix(): file.read_text(encoding="utf-8") for file in files}


def blocks(root, language):
    """Return the fenced blocks of all pages in a language."""
    text = "\n".join(pages(root).values())
    return [content for name, content in FENCED.findall(text) if name == language]


def commands(root):
    """Return every command of the pages as a list of words, each once: lines of blocks, and code in sentences."""
    lines = [line for block in blocks(root, "sh") for line in block.splitlines()]
    # The page on Slurm is this file.
    texts = [*pages(root).values(), (root / "workflow/profiles/README.md").read_text(encoding="utf-8")]
    prose = "\n".join(FENCED.sub("", text) for text in texts)
    lines += [code for code in re.findall(r"`([^`]+)`", prose) if PROGRAM.match(code)]
    found = [shlex.split(line, comments=True) for line in lines]
    kept = [tuple(words) for words in found if words and not any(map(TEMPLATE.search, words))]
    return [list(words) for words in dict.fromkeys(kept)]
