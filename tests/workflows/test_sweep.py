"""`aurac.score`: the library call behind `aurac score`."""

from __future__ import annotations

from pathlib import Path
from shutil import copy, copytree
from threading import Event
from typing import Any

import pytest

import aurac
from adapter_by_peft import TASKS, write_adapter
from aurac import testbed
from aurac.errors import AdapterError, ModelError, OptionError, RefusedError, UnknownNameError
from aurac.workflows import prepared
from aurac.workflows.options import ScoreOptions
from aurac.workflows.sweep import score_folder

SMALL: dict[str, Any] = {"include_path": testbed.TASKS, "limit": 8, "batch_size": 16, "ranks": [1, 4]}


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_adapter(tmp_path_factory.mktemp("adapters") / "mine", seed=0)


def test_the_library_call_measures_what_the_command_measures(
    adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from aurac.cli import main

    run = aurac.score(adapter, tasks=["facts", "tilt"], out=tmp_path / "library", **SMALL)
    assert run is not None
    assert (run.tasks, run.ranks, run.failures) == (("facts", "tilt"), (1, 4), ())
    command = ["score", str(adapter), "--tasks", "facts,tilt", *TASKS, "--ranks", "1,4"]
    assert main([*command, "--out", str(tmp_path / "command")]) == 0
    documents = [(tmp_path / name / "documents.parquet").read_bytes() for name in ("library", "command")]
    assert documents[0] == documents[1]
    # The command goes on from what the library measured: both make the same identity. Ranks 1, 4 and the base, 2 tasks.
    capsys.readouterr()
    assert main([*command, "--out", str(tmp_path / "library")]) == 0
    assert "6 of 6 cells are measured already" in capsys.readouterr().err


def test_it_is_silent_where_no_progress_is_wanted(
    adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ScoreOptions(tasks="facts", out=tmp_path / "run", progress=False, **SMALL)
    run = score_folder(adapter, options)
    assert run is not None
    assert run.path == tmp_path / "run"
    assert tuple(capsys.readouterr()) == ("", "")


def test_the_record_lies_in_the_adapter_folder_by_default(tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "mine", seed=1)
    run = aurac.score(folder, tasks="facts", **SMALL | {"ranks": [4]})
    assert run is not None
    assert run.path == folder / "aurac-run"


def test_an_option_that_there_is_not_is_answered_with_the_near_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown option of score 'task'. Did you mean 'tasks'"):
        aurac.score("anywhere", task="facts")
    with pytest.raises(TypeError, match=r"score\(\) needs tasks, for example tasks="):
        aurac.score("anywhere")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"ranks": "1,2"}, OptionError, "ranks: '1,2' is no list of ranks such as 1,2,4"),
        ({"batch_size": 0}, OptionError, "batch_size: '0' is neither a number from 1 nor auto"),
        ({"limit": "all"}, OptionError, "limit: 'all' is no number"),
        ({"precision": 0}, OptionError, "precision: 0 is not a positive number"),
        ({"audit": 20}, OptionError, "audit: 20 is no share between 0 and 1, both excluded; for example 0.2"),
        ({"precision": 1, "audit": 0.2}, OptionError, "precision and audit were both given.*Give one"),
        ({"precision": 1, "limit": 8}, OptionError, "limit and precision were both given.*no random part of a task"),
        ({"inference": "prefixes"}, UnknownNameError, "unknown inference rule 'prefixes'. Did you mean 'prefix'"),
        ({"engine": "vlm"}, UnknownNameError, "unknown engine 'vlm'. Did you mean 'vllm'"),
    ],
)
def test_a_value_that_an_option_cannot_have_is_refused_before_anything_is_read(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        aurac.score("nowhere", tasks="facts", **options)


def test_weights_are_read_and_hashed_once(adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from aurac_adapters.folder import folder, weights

    calls = []
    for module, name in ((weights, "load_file"), (folder, "file_sha256")):
        own = getattr(module, name)
        monkeypatch.setattr(module, name, lambda path, own=own, name=name: calls.append(name) or own(path))
    assert aurac.score(adapter, tasks="facts", out=tmp_path / "run", **SMALL) is not None
    assert sorted(calls) == ["file_sha256", "load_file"]


def test_weights_that_change_between_reading_and_loading_are_not_scored(
    adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(copytree(adapter, tmp_path / "mine"))
    other = write_adapter(tmp_path / "other", seed=9)
    opened = prepared.open_model

    def changed_before(*arguments: Any) -> Any:
        copy(other / "adapter_model.safetensors", folder / "adapter_model.safetensors")
        return opened(*arguments)

    monkeypatch.setattr(prepared, "open_model", changed_before)
    with pytest.raises(AdapterError, match=r"the weights were changed while they were in use\. Start again"):
        aurac.score(folder, tasks="facts", out=tmp_path / "run", **SMALL)


def test_the_config_of_the_base_model_is_read_once(
    adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aurac.harness import model

    own, calls = model.read_config, []
    monkeypatch.setattr(model, "read_config", lambda *given, **options: calls.append(given) or own(*given, **options))
    assert aurac.score(adapter, tasks="facts", out=tmp_path / "run", **SMALL) is not None
    assert len(calls) == 1


def test_the_model_is_read_while_tasks_are_built(
    adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aurac.harness import in_memory

    load, build, reading, built = in_memory.load_base, prepared.build, Event(), Event()

    def load_late(*given: Any, **options: Any) -> Any:
        reading.set()
        assert built.wait(60)
        return load(*given, **options)

    def build_meanwhile(*given: Any) -> Any:
        assert reading.wait(60)
        suite = build(*given)
        built.set()
        return suite

    monkeypatch.setattr(in_memory, "load_base", load_late)
    monkeypatch.setattr(prepared, "build", build_meanwhile)
    run = aurac.score(adapter, tasks="facts", out=tmp_path / "run", **SMALL)
    assert run is not None
    assert not run.failures


def test_a_model_that_cannot_be_read_is_named_after_the_tasks_are_built_and_leaves_nothing(
    adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = Path(copytree(testbed.MODEL, tmp_path / "base"))
    (base / "model.safetensors").write_bytes(b"broken")
    build, built = prepared.build, []
    monkeypatch.setattr(prepared, "build", lambda *given: built.append(given) or build(*given))
    with pytest.raises(ModelError, match=r"the model in .*base cannot be loaded"):
        aurac.score(adapter, tasks="facts", base=str(base), out=tmp_path / "run", **SMALL)
    assert built
    with pytest.raises(UnknownNameError, match="unknown metric 'acx' of task 'facts'"):  # both are wrong
        aurac.score(adapter, tasks="facts@0:acx", base=str(base), out=tmp_path / "run", **SMALL)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("option", [{"precision": 1.0}, {"audit": 0.2}])
def test_several_processes_cannot_ask_a_part(option: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RefusedError, match=r"several processes cannot share\. Start one process, or score all"):
        aurac.score("nowhere", tasks="facts", include_path=testbed.TASKS, **option)
