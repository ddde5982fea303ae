"""docs/methods.md against the code that it describes."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aurac_adapters import METHODS, DyLora, Lora, MatryoshkaLora, NestedMethod, SvdLora
from aurac_adapters.methods.inference import INFERENCES
from aurac_adapters.methods.scaling import SCALINGS
from tiny import logits, nested, tiny_llama

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"
TEXT = PAGE.read_text(encoding="utf-8")


def training_table() -> str:
    """The rows that the methods themselves bring; one that brings none is described by its docstring."""
    lines = ["| method | class | p in optimizer step t | by default |", "|---|---|---|---|"]
    for name, method in METHODS.items():
        for options, p, default in method.in_docs or (("", (method.__doc__ or "").partition(".")[0], ""),):
            option = f", `{options}`" if options else ""
            cells = (f"`{name}`{option}", f"`{method.__name__}`", p, default)
            lines.append(f"| {' | '.join(cells)} |".replace("|  |", "| |"))
    return "\n".join(lines)


def test_the_golden_table_of_methods_is_what_the_methods_say_of_themselves() -> None:
    table = re.search(r"\| method \| class \|.*?(?=\n\n)", TEXT, flags=re.S)
    assert table is not None
    if os.environ.get("AURAC_GOLDEN") == "write":
        PAGE.write_text(TEXT.replace(table[0], training_table()), encoding="utf-8")
    assert table[0] == training_table()


@pytest.mark.parametrize("name", [*METHODS, *SCALINGS])
def test_every_method_and_scaling_rule_has_its_row(name: str) -> None:
    assert re.search(rf"^\| `{name}` \|", TEXT, flags=re.MULTILINE)


@pytest.mark.parametrize("name", INFERENCES)
def test_every_inference_rule_has_its_row(name: str) -> None:
    assert re.search(rf"^\| `{name}`[^|]* \|", TEXT, flags=re.MULTILINE)


NUMBERS = r"[0-9. ]+|-"
WORKED = [
    ("lora", Lora(4, scaling="sqrt")),
    ("dylora", DyLora(4, scaling="sqrt", seed=next(s for s in range(99) if DyLora(4, seed=s).sampled_rank(0) == 2))),
    ("matryoshka", MatryoshkaLora(4)),
    ("matryoshka`, `normalize", MatryoshkaLora(4, normalize=True)),
    ("svd-lora", SvdLora(4)),
]


@pytest.mark.parametrize(("name", "method"), WORKED, ids=[name for name, _ in WORKED])
def test_the_diagonals_that_are_written_out_are_those_of_the_code(name: str, method: NestedMethod) -> None:
    row = re.search(rf"^\| `{name}`[^|]*\| ({NUMBERS}) \| ({NUMBERS}) \| ({NUMBERS}) \|$", TEXT, flags=re.MULTILINE)
    assert row is not None
    written = [None if cell == "-" else [float(x) for x in cell.split()] for cell in row.groups()]
    diagonals = [
        method.training_diagonal(0) if method.trainable else None,
        method.inference_diagonal(2, "prefix"),
        method.inference_diagonal(2, "trained"),
    ]
    for cell, p in zip(written, diagonals, strict=True):
        assert (cell is None) == (p is None)
        assert p is None or np.array_equal(np.array(cell), np.round(p, 2))


def test_the_documented_method_works_as_it_stands() -> None:
    code = re.search(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    assert code is not None
    names: dict[str, object] = {}
    imports = (
        "from dataclasses import dataclass\nfrom typing import ClassVar\nimport numpy as np\n"
        "from aurac_adapters.methods.method import Diagonal, NestedMethod\n"
    )
    exec(imports + code[1], names)
    method = names["TailLora"](4, scaling="rank")  # type: ignore[operator]
    assert isinstance(method, NestedMethod)
    assert method.training_diagonal(0).tolist() == [0.5, 0.5, 0.25, 0.25]
    adapter = nested(method, inference="trained")
    trained = logits(adapter.model.train())
    assert torch.equal(logits(adapter.model.eval()), trained)
    assert not torch.equal(trained, logits(tiny_llama()))
    np.testing.assert_array_equal(
        type(method).from_dict(method_values(method)).training_diagonal(0), [0.5, 0.5, 0.25, 0.25]
    )


def method_values(method: NestedMethod) -> dict[str, object]:
    values = method.to_dict()
    assert values.pop("method") == "tail"
    return values


def test_the_example_of_a_new_method_runs_as_it_is_printed() -> None:
    _, _, rest = TEXT.partition("```python\n# adapters/aurac_adapters/tail_lora.py")
    names: dict[str, Any] = {"__name__": __name__}
    exec(rest.partition("```")[0], names)
    assert names["TailLora"](max_rank=4).training_diagonal(0).tolist() == [2, 2, 1, 1]
