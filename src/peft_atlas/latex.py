"""LaTeX helpers: escaping, commands and tables."""

from __future__ import annotations

from collections.abc import Sequence

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "α": r"$\alpha$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "–": "--",
    "•": r"$\bullet$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "√": r"$\surd$",
    "σ": r"$\sigma$",
    "Δ": r"$\Delta$",
    "≈": r"$\approx$",
    "→": r"$\rightarrow$",
    "−": r"$-$",
}
_NUMERALS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
_DIGITS = {str(digit): name for digit, name in enumerate(_NUMERALS)}


def escape(text: str) -> str:
    """Escape text so that LaTeX typesets it literally; line breaks and control characters become blanks."""
    return "".join(_SPECIAL.get(character, character if character.isprintable() else " ") for character in text)


def command_name(*words: str) -> str:
    r"""Make a command name of letters only: ``atlas`` and ``gain_2`` give ``\atlasGainTwo``."""
    parts = [part for word in words for part in word.replace("-", "_").split("_") if part]
    spelt = ["".join(_spelt(character) for character in part) for part in parts]
    return "\\" + spelt[0] + "".join(part[:1].upper() + part[1:] for part in spelt[1:])


def _spelt(character: str) -> str:
    """Return what replaces a character in a command: the name of a digit, nothing for what is not a letter."""
    return _DIGITS.get(character, character if character.isascii() and character.isalpha() else "")


def new_command(name: str, text: str) -> str:
    r"""Define a command without arguments; ``text`` is LaTeX."""
    return f"\\newcommand{{{name}}}{{{text}}}"


def booktabs(header: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[bool]) -> str:
    """Build a tabular with booktabs rules; cells are escaped."""
    lines = [
        f"\\begin{{tabular}}{{@{{}}{''.join('r' if right else 'l' for right in numeric)}@{{}}}}",
        "\\toprule",
        _row(header),
        "\\midrule",
        *map(_row, rows),
        "\\bottomrule",
        "\\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def long_booktabs(
    header: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[bool], caption: str, label: str
) -> str:
    """Build a longtable with booktabs rules, which breaks over pages and repeats its header; cells are escaped."""
    lines = [
        f"\\begin{{longtable}}{{@{{}}{''.join('r' if right else 'l' for right in numeric)}@{{}}}}",
        # The end of the caption's row has no blank before it, unlike that of a row of cells.
        f"\\caption{{{escape(caption)}}}\\label{{{label}}}\\\\",
        "\\toprule",
        _row(header),
        "\\midrule",
        "\\endfirsthead",
        "\\toprule",
        _row(header),
        "\\midrule",
        "\\endhead",
        *map(_row, rows),
        "\\bottomrule",
        "\\end{longtable}",
    ]
    return "\n".join(lines) + "\n"


def bibtex(key: str, authors: str, fields: dict[str, str]) -> str:
    """Build an entry of kind misc, which has room for papers, repositories and notebooks alike.

    ``authors`` are one name with or without ``et al.``, or any other text, which then is one author to BibTeX; where
    they are empty the entry is sorted by its key.
    """
    first = authors.removesuffix(" et al.")
    named = f"{escape(first)} and others" if first != authors else f"{{{escape(authors)}}}"
    lines = [f"  author = {{{named}}}," if authors else f"  key = {{{key}}},"]
    lines += [f"  {name} = {{{escape(value)}}}," for name, value in fields.items() if value]
    return "\n".join([f"@misc{{{key},", *lines, "}"]) + "\n"


def _row(cells: Sequence[str]) -> str:
    texts = [escape(cell) for cell in cells]
    # After the end of a row, LaTeX takes a star or a bracket for an argument of that end.
    guard = "{}" if texts and texts[0].lstrip().startswith(("[", "*")) else ""
    return guard + " & ".join(texts) + r" \\"
