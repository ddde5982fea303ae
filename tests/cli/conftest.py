"""The command line called in-process, on the embedded model with an adapter that PEFT alone made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapter_by_peft import TASKS, write_adapter
from aurac.cli import main
from small_recipes import SMALL


@dataclass(frozen=True)
class Called:
    """What one command did."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one `error:` line."""
        (line,) = [line for line in self.err.splitlines() if line.startswith("error: ")]
        return line


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Called]:
    def run(*argv: str | Path) -> Called:
        status = main([str(arg) for arg in argv])
        captured = capsys.readouterr()
        return Called(status, captured.out, captured.err)

    return run


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """`aurac score` without its plots, which are most of its time on a small model."""
    monkeypatch.setattr("aurac.report.plots.curves.save_curves", lambda *_, **__: None)


@pytest.fixture(scope="session")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("adapters")
    return {name: write_adapter(root / name, seed=seed) for seed, name in enumerate(("one", "two"))}


@pytest.fixture(scope="session")
def scored(adapters: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Records of both adapters on two tasks."""
    root = tmp_path_factory.mktemp("runs")
    for name, folder in adapters.items():
        assert main(["score", str(folder), "--tasks", "facts,tilt", *TASKS, "--out", str(root / name)]) == 0
    return {name: root / name for name in adapters}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(SMALL)
    return path
