"""Tolerances hold on any processor, have a reason, and still tell functions apart that are not the same."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from aurac_adapters import Lora, MatryoshkaLora
from tiny import logits, nested
from tolerance import assert_same_function, near, same_log_likelihoods

TESTS = Path(__file__).parent
COMPARING = {"approx", "assert_close", "allclose", "assert_allclose", "isclose"}
ABSOLUTE, RELATIVE = {"abs", "atol"}, {"rel", "rtol"}


def tolerances(path: Path) -> Iterator[tuple[str, dict[str, ast.expr], bool]]:
    """Yield where a comparison sets its own tolerance, which, and whether a comment beside or above says why."""
    source = path.read_text(encoding="utf-8")
    lines, tree = source.splitlines(), ast.parse(source)
    for statement in (node for node in ast.walk(tree) if isinstance(node, ast.stmt) and not hasattr(node, "body")):
        for call in (node for node in ast.walk(statement) if isinstance(node, ast.Call)):
            given = {word.arg: word.value for word in call.keywords if word.arg in ABSOLUTE | RELATIVE}
            if given and ast.unparse(call.func).split(".")[-1] in COMPARING:
                around = lines[max(statement.lineno - 5, 0) : statement.end_lineno]
                yield f"{path.name}:{call.lineno}", given, any("# " in line for line in around)


@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=lambda path: str(path.relative_to(TESTS)))
def test_no_tolerance_is_absolute_alone(path: Path) -> None:
    for where, given, _ in tolerances(path):
        relative = [value for name, value in given.items() if name in RELATIVE]
        assert relative, (
            f"{where}: an absolute tolerance alone holds on one machine; give rtol (tests/shared/tolerance.py)"
        )
        assert not any(isinstance(value, ast.Constant) and value.value == 0 for value in relative), (
            f"{where}: rtol is 0"
        )


@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=lambda path: str(path.relative_to(TESTS)))
def test_a_wide_tolerance_says_why(path: Path) -> None:
    for where, given, reason in tolerances(path):
        values = [value.value for value in given.values() if isinstance(value, ast.Constant)]
        rounding = len(values) == len(given) and max(values) <= 1e-6  # what float32 gives back of one number
        assert rounding or reason or path.name == "tolerance.py", f"{where}: say in a comment why it is as wide"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_function_of_another_rank_or_with_another_factor_is_not_the_same(dtype: torch.dtype) -> None:
    adapter = nested(MatryoshkaLora(max_rank=8), dtype=dtype, inference="trained")
    full = logits(adapter.model)
    assert_same_function(logits(adapter.model), full)
    adapter.set_rank(7)
    with pytest.raises(AssertionError, match="not close"):
        assert_same_function(logits(adapter.model), full, rounding=torch.float32)
    exact, wrong = (logits(nested(Lora(max_rank=8, gain=gain), dtype=dtype).model) for gain in (1.0, 1.01))
    with pytest.raises(AssertionError, match="not close"):
        assert_same_function(wrong, exact, rounding=torch.float32)


def test_other_numbers_are_not_near() -> None:
    assert near(0.5) != 0.5 + 1e-8
    assert near([0.5, 0.25]) == [0.5, 0.25 + 1e-13]
    assert same_log_likelihoods([-20.0]) != [-20.001]
