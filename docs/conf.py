"""The documentation as a site: ``make site``. Its pages are the Markdown files of this folder."""

import sys
from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.highlighting import lexers

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from peft_atlas.version import __version__  # noqa: E402

project, author, release = "PEFT Atlas", "The PEFT Atlas developers", __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = False
# The graph of the rules is drawn where the page is read on a forge; here it is shown as text.
lexers["mermaid"] = TextLexer()
lexers["csv"] = TextLexer()
html_theme = "furo"
html_title = f"PEFT Atlas {release}"
# The finished report and its bundle, as make finished-report wrote them.
html_extra_path = [name for name in ("report.html", f"peft-atlas-{release}.zip") if (ROOT / "docs" / name).is_file()]
exclude_patterns = ["index.html", "report.html"]
