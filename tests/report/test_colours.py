"""Colours of lines and text: told apart by colour-blind readers too, and dark or light enough for the paper."""

from __future__ import annotations

import itertools
import re
from importlib.resources import files

import numpy as np
import numpy.typing as npt
import pytest

from aurac.report.plots.looks import COLOURS

Array = npt.NDArray[np.float64]

# Ottosson 2020, "A perceptual color space for image processing": linear sRGB -> cones -> OKLab
_CONES = np.array([[0.41222, 0.53633, 0.05145], [0.21190, 0.68070, 0.10740], [0.08830, 0.28172, 0.62998]])
_OKLAB = np.array([[0.21045, 0.79362, -0.00407], [1.97800, -2.42859, 0.45059], [0.02590, 0.78277, -0.80868]])
# Machado, Oliveira and Fernandes 2009, severity 1, on linear sRGB
EYES = {
    "all cones": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
APART = {"all cones": 0.13, "protanopia": 0.08, "deuteranopia": 0.055, "tritanopia": 0.065}
"""Smallest distance in OKLab between two lines; 0.02 is about what a trained eye sees in large fields side by side."""


def linear(colour: str) -> Array:
    digits = colour.removeprefix("#")
    digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
    srgb = np.array([int(digits[k : k + 2], 16) for k in (0, 2, 4)]) / 255
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def seen(colour: str, eyes: str) -> Array:
    oklab: Array = _OKLAB @ np.cbrt(_CONES @ np.clip(EYES[eyes] @ linear(colour), 0, 1))
    return oklab


def contrast(a: str, b: str) -> float:
    """WCAG 2.2's ratio."""
    dark, light = sorted(float(np.dot([0.2126, 0.7152, 0.0722], linear(colour))) for colour in (a, b))
    return (light + 0.05) / (dark + 0.05)


def themes() -> dict[str, dict[str, str]]:
    """Mode of the page -> name of a colour -> the colour, as the style sheet has them."""
    css = (files("aurac.report.pages") / "assets" / "page.css").read_text(encoding="utf-8")
    found = [dict(re.findall(r"--(\w+): (#\w+);", block)) for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL)]
    return dict(zip(("light", "dark", "print"), found, strict=True))


def lines(theme: dict[str, str]) -> list[str]:
    return [theme[f"c{number}"] for number in range(len(COLOURS))]


PALETTES = {"plots": list(COLOURS), **{mode: lines(theme) for mode, theme in themes().items()}}


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize("palette", PALETTES)
def test_any_two_lines_are_told_apart_by_their_colour(palette: str, eyes: str) -> None:
    pairs = itertools.combinations(PALETTES[palette], 2)
    closest = min((float(np.linalg.norm(seen(a, eyes) - seen(b, eyes))), a, b) for a, b in pairs)
    assert closest[0] >= APART[eyes], closest


@pytest.mark.parametrize("mode", themes())
def test_text_of_the_page_has_a_contrast_of_4_5_and_its_lines_of_3(mode: str) -> None:
    theme = themes()[mode]
    assert (
        min(contrast(theme[text], theme[back]) for text in ("ink", "soft", "c0") for back in ("paper", "hint")) >= 4.5
    )
    assert min(contrast(line, theme["paper"]) for line in lines(theme)) >= 3
