"""The public names, and that each of them is there."""

from __future__ import annotations

import ast
from pathlib import Path
from types import ModuleType

import pytest

import aurac
import aurac_adapters
import typed_use

# Written out: a name that is gone or renamed breaks other people's programs, so it must not happen by accident.
NAMES = {
    aurac: """
        AuracError AuracScore Comparison RankAccuracyCurve Run compare compute load plot_critical_difference plot_curves
        plot_difference plot_intervals plot_pareto recommend score smallest_rank weights
    """,
    aurac_adapters: """
        AdapterFacts AdapterFolder DyLora LearnedMatryoshka Lora METHODS MatryoshkaLora NestedAdapter NestedMethod
        RetrainedAdapter SvdLora at_rank attach convert_checkpoint convert_method export_budget export_merged
        export_slice load_adapter load_ranked read_adapter read_facts read_ranked save_adapter svd_rotate
    """,
}


@pytest.mark.parametrize("package", NAMES)
def test_the_public_names_are_these(package: ModuleType) -> None:
    assert package.__all__ == NAMES[package].split()


@pytest.mark.parametrize("package", [aurac, aurac_adapters])
def test_every_public_name_leads_to_something_documented(package: object) -> None:
    for name in package.__all__:  # type: ignore[attr-defined]
        assert getattr(package, name).__doc__


@pytest.mark.parametrize("package", [aurac, aurac_adapters])
def test_type_checkers_see_the_same_names_from_the_same_places(package: ModuleType) -> None:
    """tests/shared/typed_use.py, which `make lint` reads, says what types they see."""
    stub = ast.parse(Path(str(package.__file__)).with_suffix(".pyi").read_text(encoding="utf-8"))
    imported = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    seen = {alias.asname: node.module for node in imported for alias in node.names if alias.name == alias.asname}
    assert seen == package._PUBLIC


def test_the_typed_examples_run() -> None:
    typed_use.check()


@pytest.mark.parametrize("package", [aurac, aurac_adapters])
def test_another_name_is_answered_with_the_public_ones(package: object) -> None:
    with pytest.raises(AttributeError, match=r"has no attribute 'nothing'. Public names: "):
        package.nothing  # type: ignore[attr-defined]  # noqa: B018
