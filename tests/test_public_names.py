"""The public names, and that each of them is there."""

from __future__ import annotations

import pytest

import aurac
import aurac_adapters


@pytest.mark.parametrize("package", [aurac, aurac_adapters])
def test_every_public_name_leads_to_something_documented(package: object) -> None:
    for name in package.__all__:  # type: ignore[attr-defined]
        assert getattr(package, name).__doc__


@pytest.mark.parametrize("package", [aurac, aurac_adapters])
def test_another_name_is_answered_with_the_public_ones(package: object) -> None:
    with pytest.raises(AttributeError, match=r"has no attribute 'nothing'. Public names: "):
        package.nothing  # type: ignore[attr-defined]  # noqa: B018
