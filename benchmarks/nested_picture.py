"""Draw what a nested adapter is: every rank is a prefix of the same two matrices.

python benchmarks/nested_picture.py --out results/plots/nested-ranks.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from aurac.report.plots import style

RANK = 8
WIDTH, HEIGHT = 16, 12  # entries of A's rows and B's columns, for the eye only
IN_USE, UNUSED = "#0072B2", "#e4e8ee"


def draw(ax: Axes, rank: int) -> None:
    """Draw B (tall) and A (wide) with the first `rank` columns and rows in use."""
    for i in range(RANK):
        colour = IN_USE if i < rank else UNUSED
        ax.add_patch(Rectangle((i, -HEIGHT), 0.8, HEIGHT, facecolor=colour, edgecolor="white"))
        ax.add_patch(Rectangle((RANK + 2, -i - 0.8), WIDTH, 0.8, facecolor=colour, edgecolor="white"))
    ax.text(RANK / 2 - 0.1, 0.6, "B", ha="center")
    ax.text(RANK + 2 + WIDTH / 2, 0.6, "A", ha="center")
    ax.text(RANK + 2 + WIDTH / 2, -HEIGHT + 0.4, f"rank {rank}", ha="center", fontsize=9)
    ax.set(xlim=(-0.5, RANK + WIDTH + 3), ylim=(-HEIGHT - 0.5, 2.2), aspect="equal")
    ax.axis("off")


def main(out: Path) -> None:
    """Draw four of the ranks side by side."""
    with plt.rc_context(style.RC):
        figure, axes = plt.subplots(1, 4, figsize=(2 * style.COLUMN_INCHES, 1.3), layout="constrained")
        for ax, rank in zip(axes, (1, 2, 4, 8), strict=True):
            draw(ax, rank)
        style.save(figure, out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("results/plots/nested-ranks.png"))
    main(parser.parse_args().out)
