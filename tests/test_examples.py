"""The examples in the docstrings are run as they stand."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def modules() -> list[str]:
    files = [*(ROOT / "aurac").rglob("*.py"), *(ROOT / "adapters/aurac_adapters").rglob("*.py")]
    texts = {path: path.read_text() for path in files}
    return sorted(
        ".".join(
            path.relative_to(ROOT / "adapters" if path.is_relative_to(ROOT / "adapters") else ROOT)
            .with_suffix("")
            .parts
        )
        for path, text in texts.items()
        if ">>> " in text
    )


@pytest.mark.parametrize("name", modules())
def test_every_example_in_a_docstring_prints_what_it_says(name: str) -> None:
    module = import_module(name.removesuffix(".__init__"))
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert result.attempted > 0
    assert result.failed == 0
