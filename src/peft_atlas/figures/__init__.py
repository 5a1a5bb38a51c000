"""The machinery for figures. Each figure is a module in the ``figures`` folder of its study.

A figure module defines

``SPEC``
    its `FigureSpec`;
``select(tables) -> DataFrame``
    the numbers to plot, which are also written to a CSV file;
``draw(plotted, axes, style)``
    the drawing, on the given axes;
``describe(plotted) -> Description``
    the caption, which names every interval, and the finding in one sentence, which doubles as alternative text.

Figure modules import no drawing library at module level, so that the workflow can read their SPEC cheaply.
"""
