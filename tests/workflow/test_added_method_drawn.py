"""A method that nobody has heard of is drawn wherever a known one is: no figure has a list of methods of its own."""

import pandas as pd
import pytest

from peft_atlas.config import FigureStyle
from peft_atlas.figures.render import draw_figure
from peft_atlas.figures.spec import figure_modules
from peft_atlas.tables.contract import read_table
from peft_atlas.tables.schemas import CONTRACTS

pytestmark = pytest.mark.slow
NEW = "RowGain"
# Methods that a figure may single out by name: what others are compared with.
SPECIAL = {"full", "LoRA"}


def with_a_copy(table, method):
    """Return a table with the rows of a method once more, under the new name."""
    if "method" not in table.columns:
        return table
    copied = table[table["method"] == method].assign(method=NEW)
    if "run_id" in copied.columns:
        copied["run_id"] = copied["run_id"].str.replace(method, NEW, regex=False)
    return pd.concat([table, copied], ignore_index=True)


@pytest.mark.parametrize("name", list(figure_modules()))
def test_what_is_drawn_of_a_method_is_drawn_of_its_copy(name, smoked):
    module = figure_modules()[name]
    tables = {t: read_table(CONTRACTS[t], smoked.folder / f"results/{t}.parquet") for t in module.SPEC.tables}
    plotted = module.select(tables)
    if "method" not in plotted.columns:
        pytest.skip("no methods in this figure")
    known = [method for method in plotted["method"].dropna().unique() if method not in SPECIAL]
    known = [method for method in known if all(method in set(t.get("method", [method])) for t in tables.values())]
    if not known:
        pytest.skip("no other method in this figure")
    method = known[0]
    more = module.select({name: with_a_copy(table, method) for name, table in tables.items()})
    assert (more["method"] == NEW).sum() == (more["method"] == method).sum() == (plotted["method"] == method).sum()
    # A figure that names no method, as one of points by source, names no new one either.
    assert names(module, more, NEW) == names(module, plotted, method)


def names(module, plotted, method):
    """Return whether a figure names a method."""
    figure = draw_figure(module, plotted, FigureStyle())
    texts = [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]
    return any(method in text for text in texts)
