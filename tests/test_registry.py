"""Tables of names, and what other packages add to them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aurac.errors import PluginError, UnknownNameError
from aurac.registry import Registry

Install = Callable[..., None]
ENTRIES = {"real": "math:sqrt", "complex": "cmath:sqrt"}


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Write a package into a folder of its own on Python's path, with the metadata that an installer would write."""

    def write(package: str, entries: str, code: str = "", *, group: str = "test.roots") -> None:
        folder, module = tmp_path / package, package.replace("-", "_")
        metadata = folder / f"{module}-1.0.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[{group}]\n{entries}\n")
        (folder / f"{module}.py").write_text(code)
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.delitem(sys.modules, module, raising=False)

    return write


def roots(**options: object) -> Registry:
    return Registry("square root", ENTRIES, group="test.roots", **options)  # type: ignore[arg-type]


def test_a_table_holds_its_own_names_and_those_that_other_packages_add(install: Install) -> None:
    install("aurac-cube", "cube = aurac_cube:cube", "def cube(x): return x ** (1 / 3)")
    table = roots()
    assert list(table) == ["real", "complex", "cube"]
    assert (len(table), "cube" in table, table["cube"](27.0)) == (3, True, pytest.approx(3.0))
    assert (table.package("cube"), table.package("real"), table.package("nothing")) == ("aurac-cube", None, None)
    with pytest.raises(
        UnknownNameError, match=r"square root 'cubed'. Did you mean 'cube'\? Known: complex, cube, real"
    ):
        table["cubed"]


def test_a_table_without_a_group_takes_no_other_names(install: Install) -> None:
    install("aurac-cube", "cube = aurac_cube:cube")
    assert list(Registry("square root", ENTRIES)) == ["real", "complex"]


def test_a_name_of_the_table_is_found_without_a_look_at_other_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(**_: object) -> None:
        raise AssertionError("entry points were read")

    monkeypatch.setattr("importlib.metadata.entry_points", look)
    table = roots()
    assert table["real"](9.0) == 3.0
    assert ("real" in table, next(iter(table))) == (True, "real")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("", "AttributeError: module 'aurac_cube' has no attribute 'cube'"),
        ("def cube(:", "SyntaxError: invalid syntax"),
    ],
)
def test_a_package_that_cannot_be_imported_is_named_and_harms_no_other_name(
    code: str, reason: str, install: Install
) -> None:
    install("aurac-cube", "cube = aurac_cube:cube", code)
    table = roots()
    with pytest.raises(PluginError) as raised:
        table["cube"]
    message = str(raised.value)
    assert message.startswith(f"the square root 'cube' of the package aurac-cube cannot be imported ({reason}")
    assert message.endswith("Repair or uninstall the package.")
    with pytest.warns(UserWarning, match=r"'cube' of the package aurac-cube cannot be imported"):
        assert list(table.usable()) == ["real", "complex"]


def test_a_value_of_another_kind_is_refused_with_what_it_must_be(install: Install) -> None:
    install("aurac-cube", "cube = aurac_cube:cube", "cube = 3")
    with pytest.raises(PluginError, match=r"'cube' of the package aurac-cube is 3; it must be a function. Repair or"):
        roots()["cube"]
    table = roots(check=lambda name, value: None if value == 3 else f"the number of {name}")
    assert table["cube"] == 3


def test_a_name_that_aurac_has_stays_aurac_s_and_the_package_is_named(install: Install) -> None:
    install("aurac-cube", "real = aurac_cube:cube\ncube = aurac_cube:cube", "def cube(x): return x ** (1 / 3)")
    table = roots()
    with pytest.warns(
        UserWarning, match=r"package aurac-cube adds the square root 'real', a name that aurac has itself"
    ):
        assert list(table) == ["real", "complex", "cube"]
    assert table["real"](9.0) == 3.0
    assert table.package("real") is None


def test_a_name_that_two_packages_add_is_nobodys(install: Install) -> None:
    for package in ("aurac-cube", "other-cube"):
        install(package, f"cube = {package.replace('-', '_')}:cube", "cube = float")
    table = roots()
    with pytest.raises(
        PluginError, match=r"'cube' is added by the packages aurac-cube and other-cube. Uninstall all but"
    ):
        table["cube"]
    with pytest.warns(UserWarning, match="added by the packages"):
        assert "cube" not in table.usable()
