"""Figures, one a file: what each needs, what it plots, how it is drawn and what it shows.

A figure is a module of this package that defines

``SPEC``
    its `FigureSpec`;
``select(tables) -> DataFrame``
    the numbers that are plotted, and written beside the figure as CSV;
``draw(plotted, axes, style)``
    the drawing, on axes that are given;
``describe(plotted) -> Description``
    the caption, which names every interval, and the finding in one sentence, which is the alternative text.

The modules import no drawing library at their top, so that the workflow reads their SPEC at no cost.
"""
