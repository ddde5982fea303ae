"""The command line called in-process, and adapters for the embedded model that PEFT alone made."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapter_by_peft import TASKS, write_adapter
from aurac.cli import main
from children import start_server


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


@pytest.fixture(scope="session", autouse=True)
def _server() -> None:
    start_server()


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Called]:
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)  # put back what the command line changes
    # Drawing is most of the time of these commands.
    monkeypatch.setattr("aurac.report.plots.curves.save_curves", lambda *_, **__: None)

    def run(*argv: str | Path) -> Called:
        status = main([str(arg) for arg in argv])
        captured = capsys.readouterr()
        return Called(status, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_adapter(tmp_path_factory.mktemp("adapters") / "one", seed=0)


@pytest.fixture(scope="session")
def scored(adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record of two tasks at three ranks; copy it before you damage it."""
    out = tmp_path_factory.mktemp("runs") / "one"
    assert main(["score", str(adapter), "--tasks", "facts,tilt", "--no-base", *TASKS, "--out", str(out)]) == 0
    return out
