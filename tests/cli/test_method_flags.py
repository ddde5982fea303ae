"""Flags of methods come from their fields, of methods from outside too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aurac import testbed
from aurac_adapters import METHODS, MatryoshkaLora, read_adapter
from aurac_adapters.training.trainer import TrainingConfig
from methods_from_outside import Fading, OwnMatryoshka

Call = Callable[..., Any]
MINIMUM = ("--model", "model", "--data", "rows.jsonl", "--out", "out")


@pytest.fixture(autouse=True)
def methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the methods into the table."""
    for name, attribute in (("fading", "Fading"), ("own-matryoshka", "OwnMatryoshka")):
        monkeypatch.setitem(METHODS._entries, name, f"methods_from_outside:{attribute}")


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[TrainingConfig]:
    """Configurations that a training was asked for; nothing is trained, the data only have to be there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").touch()
    seen: list[TrainingConfig] = []
    monkeypatch.setattr("aurac_adapters.training.trainer.train", lambda config: seen.append(config) or config.out)
    return seen


@pytest.mark.parametrize(
    ("options", "method"),
    [
        (("fading",), Fading(max_rank=16)),
        (("fading", "--decay", "0.25"), Fading(max_rank=16, decay=0.25)),
        (("fading", "--strength", "2"), Fading(max_rank=16, strength=2.0)),
        (("fading", "--shape", "flat"), Fading(max_rank=16, shape="flat")),
        (("fading", "--fading-packing", "3"), Fading(max_rank=16, packing=3)),
        (("own-matryoshka",), OwnMatryoshka(max_rank=16, scaling="rank")),
        (("own-matryoshka", "--normalize"), OwnMatryoshka(max_rank=16, normalize=True)),
        (("own-matryoshka", "--strength"), OwnMatryoshka(max_rank=16, strength=True)),
        (("matryoshka", "--normalize"), MatryoshkaLora(max_rank=16, normalize=True)),
    ],
)
def test_a_flag_sets_the_field_and_what_is_absent_has_the_default_of_the_dataclass(
    options: tuple[str, ...], method: Any, call: Call, trained: list[TrainingConfig]
) -> None:
    assert call("train", "--method", *options, *MINIMUM).status == 0
    assert trained[0].method == method
    assert not trained[0].packing


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("matryoshka", "--decay", "0.5"), "--decay is for method fading, not for matryoshka. Leave it out."),
        (("lora", "--strength", "1"), "--strength is for method fading, own-matryoshka, not for lora. Leave it out."),
        (("fading", "--strength"), "--strength needs a value for method fading."),
        (("fading", "--strength", "much"), "--strength: 'much' is no number, which method fading takes there."),
        (
            ("own-matryoshka", "--strength", "2"),
            "--strength: '2' is neither true nor false, which method own",
        ),
    ],
)
def test_a_flag_of_another_method_or_type_is_one_error_line(
    options: tuple[str, ...], message: str, call: Call, trained: list[TrainingConfig]
) -> None:
    done = call("train", "--method", *options, *MINIMUM)
    assert (done.status, trained) == (1, [])
    assert message in done.error


def test_a_text_that_is_no_number_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    from aurac.cli import main

    with pytest.raises(SystemExit) as stopped:
        main(["train", "--method", "fading", "--decay", "fast", *MINIMUM])
    assert stopped.value.code == 2
    assert "argument --decay: 'fast' is no number" in capsys.readouterr().err


def test_help_shows_which_methods_a_flag_belongs_to(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from aurac.cli import main

    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "--decay X fading only: factor from one column to the next (default: 0.5)" in text
    assert "--normalize matryoshka, own-matryoshka only: whether P is divided by |S|" in text
    assert "--strength [VALUE] fading only: (default: 1); own-matryoshka only: whether it is strong" in text
    assert "(default: sqrt for matryoshka, rank for own-matryoshka, else one)" in text


def test_a_trained_folder_holds_the_value_and_is_read_with_it(call: Call, tmp_path: Path) -> None:
    small = ("--rank", "4", "--max-steps", "2", "--batch-size", "2", "--gradient-accumulation", "1")
    data = ("--model", testbed.MODEL, "--data", testbed.TRAIN)
    done = call("train", "--method", "fading", "--decay", "0.25", *small, *data, "--out", tmp_path / "a")
    assert done.status == 0
    assert read_adapter(tmp_path / "a").method == Fading(max_rank=4, decay=0.25)
