"""A record whose adapter, base model, task or prompts changed is not resumed; damage is named and measured again."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from adapter_by_peft import TASKS
from aurac import testbed
from aurac.errors import AdapterError, RecordError
from aurac.results import load
from aurac_adapters import read_adapter
from aurac_adapters.training.record import read as read_training

Call = Callable[..., Any]


class World:
    """Copies of an adapter, a base model, tasks and their record, to be changed by a test."""

    def __init__(self, root: Path, adapter: Path, scored: Path) -> None:
        self.adapter = shutil.copytree(adapter, root / "adapter")
        self.base = shutil.copytree(testbed.MODEL, root / "base")
        self.tasks = shutil.copytree(testbed.TASKS, root / "tasks")
        self.record = shutil.copytree(scored, root / "record")

    def command(self, tasks: str = "facts,tilt") -> tuple[str | Path, ...]:
        folders = ("--base", self.base, "--include-path", self.tasks, "--out", self.record)
        return ("score", self.adapter, "--tasks", tasks, "--no-base", *TASKS[2:], *folders)


@pytest.fixture
def world(tmp_path: Path, adapter: Path, scored: Path) -> World:
    return World(tmp_path, adapter, scored)


def change_weight(file: Path) -> None:
    tensors = load_file(file)
    name, tensor = next(iter(tensors.items()))
    tensors[name] = tensor + torch.finfo(tensor.dtype).eps * tensor.abs().max()
    save_file(tensors, file, metadata={"format": "pt"})


def change_json(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def change_text(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def change_labels(file: Path) -> None:
    """Let another choice be the right one; the prompts stay what they are."""
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    for row in rows:
        row["gold"] = (row["gold"] + 1) % len(row["choices"])
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


CHANGES: dict[str, tuple[Callable[[World], object], str]] = {
    "adapter weights": (lambda w: change_weight(w.adapter / "adapter_model.safetensors"), "adapter.sha256 is"),
    "lora_alpha": (lambda w: change_json(w.adapter / "adapter_config.json", lora_alpha=9), "adapter.gain is 2.0 there"),
    "alpha of one layer": (
        lambda w: change_json(w.adapter / "adapter_config.json", alpha_pattern={"q_proj": 1}),
        "adapter.alpha_pattern.q_proj is None there and 1 here",
    ),
    "base weights": (lambda w: change_weight(w.base / "model.safetensors"), "base.sha256 is"),
    "tokenizer": (lambda w: change_json(w.base / "tokenizer_config.json", x=1), "base.sha256 is"),
    "task version": (
        lambda w: change_text(w.tasks / "facts.yaml", "version: 1.0", "version: 2.0"),
        "task 'facts' with another version: '1.0' there, '2.0' now",
    ),
    "prompts": (
        lambda w: change_text(w.tasks / "facts.yaml", 'doc_to_text: "', 'doc_to_text: "so '),
        "task 'facts' with another requests_sha256",
    ),
    "labels": (lambda w: change_labels(w.tasks / "facts.jsonl"), "task 'facts' with another docs_hash"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_record_is_not_resumed_after_a_change_of(change: str, call: Call, world: World) -> None:
    damage, message = CHANGES[change]
    damage(world)
    before = {path: path.read_bytes() for path in world.record.iterdir() if not path.name.startswith(".")}
    done = call(*world.command(), "--ranks", "1,2,3")
    assert done.status == 1
    assert message in done.error
    assert {path: path.read_bytes() for path in before} == before


def test_a_changed_folder_name_is_no_change(call: Call, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aurac.workflows.prepared.open_model", lambda *_: pytest.fail("measured again"))
    assert call(*world.command()).status == 0


def cut_table(record: Path) -> None:
    file = record / "documents.parquet"
    file.write_bytes(file.read_bytes()[:-20])


def cut_json(record: Path) -> None:
    file = record / "run.json"
    file.write_text(file.read_text()[:-20])


def spoil_task(record: Path) -> None:
    import pyarrow.parquet as pq

    file = record / "documents.parquet"
    column = pq.ParquetFile(file).metadata.row_group(1).column(7)
    data = bytearray(file.read_bytes())
    data[column.dictionary_page_offset + column.total_compressed_size - 2] ^= 1
    file.write_bytes(data)


def spoil_entry(record: Path) -> None:
    run = json.loads((record / "run.json").read_text())
    run["cells"][0]["metrics"] = "none"
    (record / "run.json").write_text(json.dumps(run))


DAMAGE: dict[str, tuple[Callable[[Path], None], str, list[tuple[str, int]]]] = {
    "the table": (cut_table, "documents.parquet is damaged:", [(t, r) for r in (1, 2, 4) for t in ("facts", "tilt")]),
    "a task in the table": (spoil_task, "(tilt, rank 1) to (tilt, rank 4)", [("tilt", r) for r in (1, 2, 4)]),
    "run.json": (cut_json, "run.json is damaged, not JSON", []),
    "a cell in run.json": (spoil_entry, "run.json is damaged at cell (facts, rank 1)", [("facts", 1)]),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_score_names_damage_sets_it_aside_and_measures_only_that_again(
    what: str, call: Call, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    import aurac.harness.sweep as sweep

    damage, message, lost = DAMAGE[what]
    whole = (world.record / "documents.parquet").read_bytes()
    damage(world.record)
    with pytest.raises(RecordError) as refused:
        load(world.record)
    assert message in str(refused.value)
    measured, measure = [], sweep.measure_cell

    def watch(lm: Any, leaf: Any, rank: int) -> Any:
        measured.append((leaf.name, rank))
        return measure(lm, leaf, rank)

    monkeypatch.setattr(sweep, "measure_cell", watch)
    with pytest.warns(UserWarning, match=re.escape(message)):
        done = call(*world.command())
    assert done.status == 0
    assert measured == lost
    assert (world.record / "documents.parquet").read_bytes() == whole
    assert list((world.record / "damaged").iterdir())


def test_schema_versions_are_checked_both_ways(world: World, tmp_path: Path) -> None:
    sidecar = world.adapter / "aurac_adapter.json"
    (tmp_path / "training").mkdir()
    for version in (0, 3):
        change_json(world.record / "run.json", schema_version=version)
        with pytest.raises(RecordError, match=rf"has schema version {version}, this aurac reads 1 and 2\."):
            load(world.record)
        sidecar.write_text(json.dumps({"schema_version": version}))
        with pytest.raises(AdapterError, match=rf"has schema version {version}, this aurac reads version 1\."):
            read_adapter(world.adapter)
        training = {"schema_version": version, "config": {}, "status": "running", "data": {"sha256": ""}}
        (tmp_path / "training" / "training.json").write_text(json.dumps(training))
        with pytest.raises(RecordError, match=rf"has schema version {version}, this aurac reads 1\. Use the aurac"):
            read_training(tmp_path / "training", {})
