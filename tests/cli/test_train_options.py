"""Options of `aurac train` and the configuration that they make."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter_by_peft import write_adapter
from aurac_adapters import DyLora, Lora
from aurac_adapters.training.trainer import TrainingConfig

Call = Callable[..., Any]
MINIMUM = ("train", "--method", "dylora", "--model", "model", "--data", "gsm8k=rows.jsonl", "--out", "out")


@pytest.fixture
def configurations(monkeypatch: pytest.MonkeyPatch) -> list[TrainingConfig]:
    """Configurations that a training was asked for; nothing is trained."""
    seen: list[TrainingConfig] = []

    def train(config: TrainingConfig) -> Path:
        seen.append(config)
        return config.out

    monkeypatch.setattr("aurac_adapters.training.trainer.train", train)
    return seen


def test_what_is_not_asked_for_has_the_defaults_of_the_configuration(
    call: Call, configurations: list[TrainingConfig]
) -> None:
    assert call(*MINIMUM).out == "out\n"
    assert configurations == [
        TrainingConfig(method=DyLora(max_rank=16), model="model", data="gsm8k=rows.jsonl", out=Path("out"))
    ]


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        (("--per-row",), "method", DyLora(max_rank=16, per_row=True)),
        (("--frozen",), "method", DyLora(max_rank=16, frozen=True)),
        (("--chat-template",), "chat_template", True),
        (("--packing",), "packing", True),
        (("--attn-implementation", "eager"), "attn_implementation", "eager"),
        (("--compile",), "compile", True),
        (("--load-in-4bit",), "load_in", "4bit"),
        (("--load-in-8bit",), "load_in", "8bit"),
        (("--gradient-checkpointing",), "gradient_checkpointing", True),
        (("--target-modules", "q_proj,v_proj"), "target_modules", ("q_proj", "v_proj")),
        (("--report-to", "tensorboard,wandb"), "report_to", ("tensorboard", "wandb")),
    ],
)
def test_an_option_changes_its_field(
    options: tuple[str, ...], field: str, value: object, call: Call, configurations: list[TrainingConfig]
) -> None:
    assert call(*MINIMUM, *options).status == 0
    assert getattr(configurations[0], field) == value


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """An adapter of rank 4 whose base model is called tiny."""
    folder = write_adapter(tmp_path / "adapter", seed=1)
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"base_model_name_or_path": "tiny"}))
    return folder


def test_a_training_from_an_adapter_needs_neither_method_nor_model(
    adapter: Path, call: Call, configurations: list[TrainingConfig]
) -> None:
    command = ("train", "--from", adapter, "--rank", "2", "--steps", "20", "--data", "gsm8k", "--out", "out")
    assert call(*command).out == "out\n"
    given = {"model": "tiny", "data": "gsm8k", "out": Path("out"), "start": adapter, "max_steps": 20}
    assert configurations == [TrainingConfig(method=Lora(max_rank=2), **given)]


def test_a_schedule_of_ranks_becomes_a_training_for_each(call: Call, configurations: list[TrainingConfig]) -> None:
    command = ("train", "--method", "lora", "--model", "model", "--data", "gsm8k", "--out", "out")
    assert call(*command, "--rank", "8", "--steps", "9", "--squeeze", "4@5,1@7").out == "out\n"
    assert [(c.out, c.method.max_rank, c.max_steps, c.start) for c in configurations] == [
        (Path("out/rank-8"), 8, 5, None),
        (Path("out/rank-4"), 4, 2, Path("out/rank-8")),
        (Path("out/rank-1"), 1, 2, Path("out/rank-4")),
    ]


@pytest.mark.parametrize(
    ("left_out", "message"),
    [
        ("--method", "a training from the base model needs --method. Give one, such as --method lora"),
        ("--model", "a training needs a base model. Give it with --model, a folder or a hub name"),
    ],
)
def test_what_a_training_from_the_base_model_needs_is_asked_for(left_out: str, message: str, call: Call) -> None:
    at = MINIMUM.index(left_out)
    done = call(*MINIMUM[:at], *MINIMUM[at + 2 :])
    assert (done.status, done.out) == (1, "")
    assert message in done.error


def test_only_the_first_of_several_processes_prints_the_folder(
    call: Call, configurations: list[TrainingConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    done = call(*MINIMUM)
    assert (done.status, done.out, len(configurations)) == (0, "", 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--report-to", "wandbb"), "unknown tracker 'wandbb'. Did you mean 'wandb'"),
        (("--per-row", "--frozen"), "frozen lets a step change one row of A"),
        (("--per-row", "--packing"), "packing puts all examples of a pass into one row"),
    ],
)
def test_what_does_not_go_together_is_one_error_line(options: tuple[str, ...], message: str, call: Call) -> None:
    done = call(*MINIMUM, *options)
    assert (done.status, done.out) == (1, "")
    assert message in done.error
