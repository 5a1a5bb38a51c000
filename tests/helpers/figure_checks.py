"""What must hold of a drawn figure, read off its artists: legible text, intervals on measured marks, fixed colours."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PolyCollection, QuadMesh
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D
from matplotlib.text import Text

# Two pixels at 100 dots an inch: what rounding of glyph boxes can bring about.
TOLERANCE = 2 / 100


def faults_of_text(figure):
    """Return each text that leaves the canvas or lies over another one."""
    canvas = FigureCanvasAgg(figure)
    # Places every text as drawing does, in half the time.
    figure.draw_without_rendering()
    renderer, tolerance = canvas.get_renderer(), TOLERANCE * figure.dpi
    shown = ticks_in_view(figure)
    texts = [text for text in figure.findobj(Text) if shown.get(text, True) and text.get_visible()]
    boxes = [(text, text.get_window_extent(renderer)) for text in texts if text.get_text().strip()]
    faults = [f"{text.get_text()!r} leaves the canvas" for text, box in boxes if leaves(box, figure.bbox, tolerance)]
    for index, (text, box) in enumerate(boxes):
        for other, another in boxes[index + 1 :]:
            if overlap(box, another) >= tolerance:
                faults.append(f"{text.get_text()!r} lies over {other.get_text()!r}")
    return faults


def ticks_in_view(figure):
    """Return for each tick's label whether its tick is within the axis; others are not drawn."""
    shown = {}
    for axis in [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]:
        drawn = axis._update_ticks()
        for tick in [*axis.majorTicks, *axis.minorTicks]:
            for label in (tick.label1, tick.label2):
                shown[label] = tick in drawn
    return shown


def leaves(box, canvas, tolerance):
    return not (
        canvas.x0 - tolerance <= box.x0 <= box.x1 <= canvas.x1 + tolerance
        and canvas.y0 - tolerance <= box.y0 <= box.y1 <= canvas.y1 + tolerance
    )


def overlap(left, right):
    """Return by how many pixels two boxes overlap in the direction in which they overlap less."""
    across = min(left.x1, right.x1) - max(left.x0, right.x0)
    down = min(left.y1, right.y1) - max(left.y0, right.y0)
    return max(0.0, min(across, down))


def marks_without_interval(figure, exact_panels=()):
    """Return the marks in the data of a figure that no error bar, band or ± in the same cell covers."""
    bare = []
    for axes in [axes for place, axes in enumerate(figure.axes) if place not in exact_panels]:
        bars = [segment for lines in axes.findobj(LineCollection) for segment in lines.get_segments()]
        bands = [path for bodies in axes.findobj(PolyCollection) for path in bodies.get_paths()]
        for line in axes.lines:
            if line.get_marker() in ("None", "none", "", None) or line.get_transform() != axes.transData:
                continue
            points = zip(line.get_xdata(), line.get_ydata(), strict=True)
            bare += [(x, y) for x, y in points if not covered(float(x), float(y), bars, bands)]
        cells = [text.get_text() for text in axes.texts if text.get_transform() == axes.transData]
        is_heatmap = any(isinstance(artist, QuadMesh) for artist in axes.collections)
        bare += [text for text in cells if is_heatmap and text.strip() not in ("", "no run") and "±" not in text]
    return bare


def covered(x, y, bars, bands):
    """Return whether a point lies on a vertical or horizontal bar, or in a band."""
    if x != x or y != y:
        return True
    near = 1e-6 * max(1.0, abs(x), abs(y))
    for (x0, y0), (x1, y1) in (segment[[0, -1]] for segment in bars if len(segment) > 1):
        inside = min(x0, x1) - near <= x <= max(x0, x1) + near and min(y0, y1) - near <= y <= max(y0, y1) + near
        if inside and (abs(x0 - x1) < near or abs(y0 - y1) < near):
            return True
    return any(path.contains_point((x, y), radius=near) or path.contains_point((x, y), radius=-near) for path in bands)


def marks_under_legends(figure):
    """Return the marks in the data of a figure that a legend hides."""
    hidden = []
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]
    boxes = [legend.get_window_extent() for legend in legends]
    for axes in figure.axes:
        for line in axes.lines:
            if line.get_marker() in ("None", "none", "", None) or line.get_transform() != axes.transData:
                continue
            places = axes.transData.transform(np.column_stack([line.get_xdata(), line.get_ydata()]).astype(float))
            hidden += [tuple(place) for place in places for box in boxes if box.contains(*place)]
    return hidden


def colours_of_methods(figure, names):
    """Return (method, colour, marker) of each mark that a legend, or without a marker that the label of its row, names.

    A mark without filling has its edge's colour.
    """
    found = []
    for legend in [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]:
        for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
            method = text.get_text().split(",")[0].replace("full model", "full")
            if method in names and isinstance(handle, Line2D):
                found.append((method, to_hex(handle.get_color()), handle.get_marker()))
    for axes in figure.axes:
        rows = {tick.get_loc(): tick.label1.get_text().split(",")[0] for tick in axes.yaxis.get_major_ticks()}
        for line in axes.lines:
            places = set(map(float, line.get_ydata())) if line.get_transform() == axes.transData else set()
            method = rows.get(next(iter(places))) if len(places) == 1 else None
            if method in names and line.get_linestyle() in ("None", "none") and line.get_color() != "none":
                found.append((method, to_hex(line.get_color()), None))
    return found
