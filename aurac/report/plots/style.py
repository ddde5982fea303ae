"""How plots look: a paper's column width, small type, few lines; and how they are written, the same bytes each time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aurac.errors import AuracError
from aurac.report.table import printable
from aurac.writing import check_can_be_written

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from aurac.statistics.bands import Band

COLUMN_INCHES = 3.4
"""Width of one column in a two-column paper, inches."""

RC: Any = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
    "legend.facecolor": "white",
    "legend.edgecolor": "none",
    "legend.framealpha": 0.8,
    "legend.handlelength": 4.4,  # the longest dash shows its pattern
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "aurac",
}
BASE: Any = {"color": "#555555", "linestyle": (0, (1, 2)), "linewidth": 1.0}
"""The line of the base model."""
REFERENCE: Any = {"color": "#000000", "linestyle": "none", "marker": "o", "markerfacecolor": "white", "zorder": 4}
"""Points of adapters that were trained for one rank each."""
SEED: Any = {"linewidth": 0.5, "alpha": 0.5, "zorder": 1}
"""The curve of one training seed of a method."""
FRONT: Any = {"color": "#999999", "linewidth": 2.5, "alpha": 0.6, "zorder": 1}
"""The Pareto front."""
SUFFIXES = (".png", ".pdf", ".svg")


def error_bars(ax: Axes, x: Any, band: Band, look: dict[str, Any], unit: float) -> None:
    """Draw a band as bars in the colour of its line; an end never lies on the wrong side of the estimate."""
    ends = [np.maximum(band.estimate - band.low, 0), np.maximum(band.high - band.estimate, 0)]
    ax.errorbar(
        x,
        band.estimate * unit,
        yerr=np.array(ends) * unit,
        fmt="none",
        ecolor=look["color"],
        elinewidth=0.8,
        capsize=1.5,
    )


def label(text: str) -> str:
    """Return text that matplotlib prints as it is: a `$` would start mathematics, a `_` in front hides."""
    text = printable(text).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def check_suffix(path: Path) -> None:
    """Raise `AuracError` when a plot cannot be written under this name."""
    if path.suffix.lower() not in SUFFIXES:
        raise AuracError(
            f"cannot write a plot to {str(path)!r}: its ending is {path.suffix!r}. Use one of {', '.join(SUFFIXES)}."
        )


def check_file(path: Path) -> None:
    """Raise what writing a plot would raise, of its ending or of its folder; called before the work starts."""
    check_suffix(path)
    if path.is_dir():
        raise AuracError(f"{path} is a folder. Give the name of a file for the plot.")
    check_can_be_written(path.parent)


def write(draw: Callable[[], Any], *paths: Path) -> None:
    """Draw a figure once, without a screen, and write it under every path; endings are checked before that."""
    import matplotlib as mpl

    for path in paths:
        check_suffix(path)
    with mpl.rc_context({"backend": "agg"}):
        import matplotlib.pyplot as plt

        figure = draw()
        for path in paths:
            save(figure, path)
        plt.close(figure)


def save(figure: Any, path: Path) -> None:
    """Write a figure; the same figure gives the same bytes.

    Args:
        figure: A matplotlib `Figure`.
        path: Where to; the ending (.png, .pdf, .svg) is the format.
    """
    import matplotlib as mpl

    check_suffix(path)
    metadata = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(path.suffix.lower())
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(RC):  # the ids inside an SVG come from the salt in force when it is written
        figure.savefig(path, dpi=200, bbox_inches="tight", metadata=metadata)
