"""How lines look: colours for colour-blind readers, markers and dashes that survive grey; one look a method.

A method of another package brings its look under the group `aurac.looks`; records hold the name, so nothing of the
package that trained an adapter is imported for a plot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from aurac.registry import Registry

# Okabe & Ito (2008), neighbours differing in lightness, then grey, indigo and dark red as far from them as colour-blind
# readers need; markers and dashes tell them apart without colour. `page.css` has its own for light and dark.
COLOURS = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000"),
    *("#777777", "#5F35C0", "#8C1D1D"),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = (
    *("-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (5, 1, 1, 1)), (0, (9, 1.5))),
    *((0, (3, 1, 1, 1, 1, 1)), (0, (1, 2.5)), (0, (9, 1.5, 1, 1.5))),
)


@dataclass(frozen=True)
class Look:
    """Colour, marker and dash of a line, as matplotlib takes them."""

    color: str
    marker: str
    linestyle: Any = "-"


def standard_look(index: int) -> Look:
    """Return the `index`th look; 32 of them differ without colour, in marker or dash."""
    markers_used_up = index // len(MARKERS)
    marker = MARKERS[(index + 3 * markers_used_up) % len(MARKERS)]
    dash = DASHES[(index + markers_used_up) % len(DASHES)]
    return Look(COLOURS[index % len(COLOURS)], marker, dash)


LORA, DYLORA, MATRYOSHKA, MATRYOSHKA_TRAINED, SVD_LORA, GRID_LORA, LEARNED_MATRYOSHKA, SQUEEZE_LORA = map(
    standard_look, range(8)
)


def _must_be_look(_: str, value: Any) -> str | None:
    return None if isinstance(value, Look) else "a Look"


LOOKS = Registry(
    "look",
    {
        "lora": "aurac.report.plots.looks:LORA",
        "dylora": "aurac.report.plots.looks:DYLORA",
        "matryoshka": "aurac.report.plots.looks:MATRYOSHKA",
        "matryoshka-prefix": "aurac.report.plots.looks:MATRYOSHKA",
        "matryoshka-trained": "aurac.report.plots.looks:MATRYOSHKA_TRAINED",
        "learned-matryoshka": "aurac.report.plots.looks:LEARNED_MATRYOSHKA",
        "svd-lora": "aurac.report.plots.looks:SVD_LORA",
        "grid-lora": "aurac.report.plots.looks:GRID_LORA",
        "squeeze-lora": "aurac.report.plots.looks:SQUEEZE_LORA",
    },
    group="aurac.looks",
    check=_must_be_look,
)
"""Method -> its look, the same in every figure."""


def looks(names: Sequence[str]) -> list[dict[str, Any]]:
    """Return colour, marker and dash of every line of a figure.

    A name that is a method, or a method with something behind it ("lora-seed-7"), looks like the method; other names,
    and further ones of the same method, take what is free.

    Example:
        >>> [look["marker"] for look in looks(["mine", "dylora", "lora", "lora-2"])]
        ['^', 's', 'o', 'D']
    """
    wanted = [_look_of(name) for name in names]
    taken: dict[Look, int] = {}  # look -> line; an exact name goes before a name that begins with the method
    for line in sorted(range(len(names)), key=lambda line: names[line] not in LOOKS):
        if (look := wanted[line]) is not None:
            taken.setdefault(look, line)
    settled = {line: look for look, line in taken.items()}
    free = (look for look in map(standard_look, count()) if look not in taken)
    return [dict(vars(settled[line] if line in settled else next(free))) for line in range(len(names))]


def _look_of(name: str) -> Look | None:
    """Return the look of the longest method that the name is or begins with."""
    found = [method for method in LOOKS if name == method or name.startswith(f"{method}-")]
    look: Look | None = LOOKS[max(found, key=len)] if found else None
    return look
