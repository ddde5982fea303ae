"""Options of `aurac train` and the configuration that they make."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aurac_adapters import DyLora
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
