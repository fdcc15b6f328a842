"""How all plots look, and how one becomes SVG: the same bytes for the same plot, legible on white and on black."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from xml.sax.saxutils import escape

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH = 760
"""Pixels, as the repository's other plots have."""

# Blue and orange differ for every kind of colour vision, and in lightness.
INK, GREY, BLUE, ORANGE = "#333333", "#999999", "#2f6fb3", "#d55e00"
ON_BLACK = {INK: "#dddddd", GREY: "#777777", BLUE: "#6ea8e0", ORANGE: "#f0883e"}

_STYLE = {
    # Text stays text, ids depend on nothing but the content, and a label with dollars is no formula.
    "svg.fonttype": "none",
    "svg.hashsalt": "lrnet",
    "text.parse_math": False,
    # A point is a pixel. Matplotlib brings this font along, so that places do not depend on the machine.
    "figure.dpi": 72,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 12,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 12,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "lines.markersize": 5,
}


@contextmanager
def style() -> Iterator[None]:
    """The look of what is drawn within, whatever the user's own settings are."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def page(caption: str, height: float) -> Figure:
    """An empty plot under its caption, WIDTH by so many pixels."""
    figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72)
    figure.text(0, 1 - 16 / height, caption, weight="bold")
    return figure


def panel(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place in pixels, counted from the upper left corner."""
    whole = figure.get_figheight() * 72
    return figure.add_axes((left / WIDTH, 1 - (top + height) / whole, width / WIDTH, height / whole))


def render(figure: Figure, caption: str) -> str:
    """The plot as SVG, whose caption is read aloud in its place."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The reader's own fonts draw the text; that ours lacks a letter of some label only costs width.
        warnings.filterwarnings("ignore", "Glyph")
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = buffer.getvalue().decode()
    body = text[text.index('<g id="figure_1">') :]
    height = round(figure.get_figheight() * 72)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{WIDTH}"'
        f' height="{height}" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="caption">\n'
        f'<title id="caption">{escape(caption)}</title>\n<style>\n{_css()}\n</style>\n{_compact(body)}'
    )


def _css() -> str:
    # Matplotlib writes colours into each element's style, where a rule finds them.
    dark = "\n".join(
        f'[style*="{part}: {light}"] {{ {part}: {on_black} !important }}'
        for light, on_black in ON_BLACK.items()
        for part in ("fill", "stroke")
    )
    return (
        "* { stroke-linejoin: round }\ntext { font-family: system-ui, sans-serif !important }\n"
        f"@media (prefers-color-scheme: dark) {{\n{dark}\n}}"
    )


def _compact(body: str) -> str:
    """Without what says nothing: indents, turns by 0, the name of a font that another one replaces."""
    body = re.sub(r"\n\s*", "\n", body)
    body = re.sub(r' transform="rotate\(-0 [^"]*"', "", body)
    return body.replace(" font-family: 'DejaVu Sans', sans-serif;", "")
