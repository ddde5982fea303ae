"""Checkpoints of other programs, written here from their published formulas, against the folders made of them."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from aurac.errors import AdapterError, AuracError, ModelError, RankError
from aurac_adapters import convert_checkpoint, load_adapter, read_adapter
from aurac_adapters.export.checkpoints.layouts import LAYOUTS
from aurac_adapters.export.convert import Given
from tiny import logits, tiny_llama
from tolerance import assert_same_function

R = 8
Update = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
Tensors = dict[str, torch.Tensor]
Make = Callable[..., Path]


@pytest.fixture
def base(tmp_path: Path) -> str:
    tiny_llama().save_pretrained(tmp_path / "base")
    return str(tmp_path / "base")


def linear_layers(model: Any, *ends: str) -> dict[str, Any]:
    return {name: module for name, module in model.named_modules() if name.endswith(ends)}


def random_factors(ends: tuple[str, ...] = ("q_proj", "down_proj")) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Return A (r, in) and B (out, r) for every layer whose name ends so."""
    generator = torch.Generator().manual_seed(5)
    return {
        name: (
            torch.randn(R, module.in_features, generator=generator) * 0.2,
            torch.randn(module.out_features, R, generator=generator) * 0.2,
        )
        for name, module in linear_layers(tiny_llama(), *ends).items()
    }


def with_update(factors: Mapping[str, tuple[torch.Tensor, torch.Tensor]], update: Update) -> Any:
    """Return the tiny model with `update(x, A, B)` added to the layers' outputs; A is (r, in), B is (out, r)."""
    model = tiny_llama()
    for name, (a, b) in factors.items():
        model.get_submodule(name).register_forward_hook(lambda _, x, y, a=a, b=b: y + update(x[0], a, b))
    return model


def authors_file(path: Path) -> Path:
    pairs = random_factors()
    torch.save({f"{n}.lora_{k}": f.T.clone() for n, ab in pairs.items() for k, f in zip("AB", ab, strict=True)}, path)
    return path


def loralib_file(path: Path, *ends: str) -> Path:
    pairs = random_factors(ends or ("q_proj", "down_proj"))
    torch.save({f"{n}.lora_{k}": f for n, ab in pairs.items() for k, f in zip("AB", ab, strict=True)}, path)
    return path


def kohya_file(path: Path, alpha: float | None = 4.0) -> Path:
    tensors: Tensors = {}
    for name, (a, b) in random_factors().items():
        stem = "lora_te_" + name.replace(".", "_")
        tensors |= {f"{stem}.lora_down.weight": a, f"{stem}.lora_up.weight": b}
        if alpha is not None:
            tensors[f"{stem}.alpha"] = torch.tensor(alpha)
    save_file(tensors, path)
    return path


def diffusers_file(path: Path, component: str = "transformer.") -> Path:
    pairs = random_factors()
    ends = ("lora_A.weight", "lora_B.weight")
    save_file({f"{component}{n}.{e}": f for n, ab in pairs.items() for e, f in zip(ends, ab, strict=True)}, path)
    return path


def assert_same(folder: Path, rank: int, expected: Any, inference: str | None = None) -> None:
    ours = load_adapter(tiny_llama(), folder, inference=inference)
    ours.set_rank(rank)
    assert_same_function(logits(ours.model), logits(expected))


@pytest.mark.parametrize(
    ("scaling", "scale"), [("one", lambda _: 1.0), ("rank", lambda r: 1 / r), ("sqrt", lambda r: r**-0.5)]
)
@pytest.mark.parametrize("method", ["lora", "dylora", "matryoshka"])
def test_the_authors_checkpoints_keep_their_function_at_every_rank(
    method: str, scaling: str, scale: Callable[[int], float], base: str, tmp_path: Path
) -> None:
    file = authors_file(tmp_path / "lora_adapters_step=01000.pt")
    ranks = () if method == "lora" else (1, 2, 4, 8)
    folder = convert_checkpoint(
        file, tmp_path / "out", Given(base=base, method=method, scaling=scaling, train_ranks=ranks)
    )
    assert read_adapter(folder).method.name == method
    for rank in (1, 3, 8):
        # In their code, with A (in, r) and B (r, out): s_r * ((x @ A[:, :r]) @ B[:r, :]).
        def update(x: torch.Tensor, a: torch.Tensor, b: torch.Tensor, r: int = rank) -> torch.Tensor:
            return scale(r) * ((x @ a.T[:, :r]) @ b.T[:r, :])

        assert_same(folder, rank, with_update(random_factors(), update))
    plain = PeftModel.from_pretrained(tiny_llama(), folder)
    assert_same_function(logits(plain), logits(with_update(random_factors(), update)))


def test_the_authors_trained_diagonal_comes_along(base: str, tmp_path: Path) -> None:
    given = Given(base=base, method="matryoshka", scaling="rank", train_ranks=(1, 2, 4, 8), inference="trained")
    folder = convert_checkpoint(authors_file(tmp_path / "step.pt"), tmp_path / "out", given)
    p = torch.tensor([sum(1 / r for r in (1, 2, 4, 8) if r >= i) for i in range(1, 9)])
    # Algorithm 1 of the paper: x @ (A * P) @ B, with A (in, r) and B (r, out).
    assert_same(folder, 8, with_update(random_factors(), lambda x, a, b: x @ (a.T * p) @ b.T))


def test_dyloras_checkpoints_keep_their_function_at_every_rank(base: str, tmp_path: Path) -> None:
    given = Given(
        base=base, method="dylora", scaling="rank", gain=16.0, train_ranks=tuple(range(1, 9)), switches={"frozen": True}
    )
    folder = convert_checkpoint(loralib_file(tmp_path / "dylora.pt"), tmp_path / "out", given)
    for b in (1, 5, 8):
        # Both factors times sqrt(R / b), the product times lora_alpha / R.
        def update(x: torch.Tensor, a: torch.Tensor, up: torch.Tensor, b: int = b) -> torch.Tensor:
            root = math.sqrt(R / b)
            return (x @ (a.T[:, :b] * root) @ (up[:, :b] * root).T) * (16 / R)

        assert_same(folder, b, with_update(random_factors(), update))


@pytest.mark.parametrize(("alpha", "gain"), [(4.0, None), (None, 0.5)])
def test_kohyas_files_bring_their_alpha_or_need_a_gain(
    alpha: float | None, gain: float | None, base: str, tmp_path: Path
) -> None:
    file = kohya_file(tmp_path / "k.safetensors", alpha)
    folder = convert_checkpoint(file, tmp_path / "out", Given(base=base, method="lora", scaling="one", gain=gain))
    assert_same(folder, 8, with_update(random_factors(), lambda x, a, b: (x @ a.T @ b.T) * (4 / R)))
    assert_same(folder, 3, with_update(random_factors(), lambda x, a, b: (x @ a.T[:, :3] @ b.T[:3]) * (4 / R)))


@pytest.mark.parametrize("component", ["", "transformer.", "base_model.model."])
def test_diffusers_files_lose_their_component(component: str, base: str, tmp_path: Path) -> None:
    file = diffusers_file(tmp_path / "d.safetensors", component)
    folder = convert_checkpoint(file, tmp_path / "out", Given(base=base, method="lora", scaling="one", gain=2.0))
    assert_same(folder, 8, with_update(random_factors(), lambda x, a, b: 2 * (x @ a.T @ b.T)))


def test_an_old_peft_folder_with_a_pickle_is_converted_too(make_foreign: Make, base: str, tmp_path: Path) -> None:
    folder = make_foreign()  # factor 16 / 8
    torch.save(load_file(folder / "adapter_model.safetensors"), tmp_path / "adapter_model.bin")
    given = Given(base=base, method="lora", scaling="one", gain=2.0)
    converted = convert_checkpoint(tmp_path / "adapter_model.bin", tmp_path / "out", given)
    for rank in (3, 8):
        expected = load_adapter(tiny_llama(), folder)
        expected.set_rank(rank)
        assert_same(converted, rank, expected.model)


def test_target_modules_are_short_where_that_means_the_same_layers(base: str, tmp_path: Path) -> None:
    given = Given(base=base, method="lora", scaling="one", gain=1.0)
    for ends, expected in ((("q_proj",), ["q_proj"]), (("0.self_attn.q_proj",), ["model.layers.0.self_attn.q_proj"])):
        file = loralib_file(tmp_path / "c.pt", *ends)
        folder = convert_checkpoint(file, tmp_path / expected[0], Given(**{**vars(given), "layout": "loralib"}))
        assert json.loads((folder / "adapter_config.json").read_text())["target_modules"] == expected
        PeftModel.from_pretrained(tiny_llama(), folder)


def test_a_converted_folder_says_where_it_comes_from(base: str, tmp_path: Path) -> None:
    given = Given(base=base, method="lora", scaling="sqrt")
    text = (convert_checkpoint(authors_file(tmp_path / "step.pt"), tmp_path / "out", given) / "README.md").read_text()
    for part in ("library_name: peft", "step.pt, the MatryoshkaLoRA authors'", "| scaling | rule sqrt, gain 1 |"):
        assert part in text


class Payload:
    """What an attacker would put into a pickle."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("wrap", [lambda p: p, lambda p: {"w.lora_A": p}], ids=["alone", "among tensors"])
def test_a_pickle_that_would_run_code_is_refused_and_runs_nothing(
    wrap: Callable[[Payload], Any], base: str, tmp_path: Path
) -> None:
    file, marker = tmp_path / "step.pt", tmp_path / "executed"
    torch.save(wrap(Payload(marker)), file)
    with pytest.raises(AdapterError, match=r"holds more than tensors, which is refused and was not run"):
        convert_checkpoint(file, tmp_path / "out", Given(base=base, method="lora", scaling="one"))
    assert not marker.exists()
    assert not (tmp_path / "out").exists()
    torch.load(file, weights_only=False)  # it would have run
    assert marker.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.ones(2)], r"holds list, not a dictionary of tensors. Save the state dict"),
        ({"model": {"w.lora_A": torch.ones(2)}}, r"holds dict under 'model'; a dictionary of names and tensors"),
        ({"step": 3}, r"holds int under 'step'"),
        ({"w": torch.ones(2)}, r"has no known layout; its first keys: w. Known layouts: matryoshka-pt, loralib, kohya"),
        ({"w.lora_A": torch.ones(2, 4)}, r"has no tensor w.lora_B; it is incomplete"),
        ({"w.lora_A": torch.ones(3, 4), "w.lora_B": torch.ones(4, 2)}, r"w has factors \(3, 4\) and \(4, 2\), which"),
        (
            {"w.lora_down.weight": torch.ones(2, 4, 3, 3), "w.lora_up.weight": torch.ones(4, 2, 1, 1)},
            r"only those of linear layers, with 2 axes, are converted",
        ),
        (
            {"w.lora_A.weight": torch.ones(2, 4), "w.lora_B.weight": torch.ones(4, 2), "w.dora_scale": torch.ones(4)},
            r"holds 1 tensors that are no LoRA factors of layout diffusers, the first w.dora_scale",
        ),
        (
            {f"{w}.lora_{k}.weight": torch.ones(r, r) for w, r in (("v", 2), ("w", 4)) for k in "AB"},
            r"the layers have different ranks, 2, 4, so the adapter has no one rank",
        ),
        (
            {"w.lora_A": torch.ones(4, 4), "w.lora_B": torch.ones(4, 4)},
            r"can be read as matryoshka-pt and as loralib, which differ. Say which it is with --layout",
        ),
    ],
)
def test_what_is_no_checkpoint_of_one_rank_is_refused(content: Any, message: str, base: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "step.pt")
    with pytest.raises(AdapterError, match=message):
        convert_checkpoint(
            tmp_path / "step.pt", tmp_path / "out", Given(base=base, method="lora", scaling="one", gain=1.0)
        )


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"scaling": None}, AdapterError, r"does not say its scaling rule. Give it with --scaling: one, rank, sqrt"),
        ({"gain": None}, AdapterError, r"does not say its factor. Give it with --gain: s_r is the gain times the rule"),
        ({"train_ranks": ()}, AdapterError, r"which ranks dylora was trained at. Give them with --train-ranks"),
        ({"train_ranks": (1, 16)}, RankError, r"train rank 16 is out of range; allowed: 1 to 8"),
        ({"switches": {"normalize": True}}, AdapterError, r"--normalize is not for method dylora. Leave it out"),
        ({"base": "/nowhere/at/all"}, ModelError, r"no such base model folder: /nowhere/at/all"),
        ({"layout": "matryoshka-pt"}, AdapterError, r"which are not \(in, r\) and \(r, out\), as layout matryoshka-pt"),
        ({"layout": "kohja"}, AuracError, r"unknown checkpoint layout 'kohja'. Did you mean 'kohya'"),
    ],
)
def test_what_the_file_does_not_say_must_be_given(
    changes: dict[str, Any], error: type[Exception], message: str, base: str, tmp_path: Path
) -> None:
    file = loralib_file(tmp_path / "dylora.pt")
    given = {"base": base, "method": "dylora", "scaling": "rank", "gain": 16.0, "train_ranks": (1, 8)} | changes
    with pytest.raises(error, match=message):
        convert_checkpoint(file, tmp_path / "out", Given(**given))
    assert not (tmp_path / "out").exists()


def test_a_gain_that_contradicts_the_file_is_refused(base: str, tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"--gain 3 was given, but layout kohya says 0.5. Leave out --gain, or"):
        convert_checkpoint(
            kohya_file(tmp_path / "k.safetensors"),
            tmp_path / "out",
            Given(base=base, method="lora", scaling="one", gain=3.0),
        )


def test_layers_with_different_alpha_are_refused(base: str, tmp_path: Path) -> None:
    save_file(
        {
            f"lora_te_{w}.{end}": tensor
            for w, alpha in (("v", 1.0), ("w", 2.0))
            for end, tensor in (
                ("lora_down.weight", torch.ones(2, 4)),
                ("lora_up.weight", torch.ones(4, 2)),
                ("alpha", torch.tensor(alpha)),
            )
        },
        tmp_path / "k.safetensors",
    )
    with pytest.raises(AdapterError, match=r"the layers have different alpha, 1, 2; a LoRA folder for servers has one"):
        convert_checkpoint(tmp_path / "k.safetensors", tmp_path / "out", Given(base=base, method="lora", scaling="one"))


def test_a_checkpoint_of_another_base_model_is_refused(tmp_path: Path) -> None:
    tiny_llama(layers=1).save_pretrained(tmp_path / "small")
    given = {"method": "lora", "scaling": "one", "base": str(tmp_path / "small")}
    with pytest.raises(AdapterError, match=r"step.pt adapts the layer model.layers.1.*, which the base model does not"):
        convert_checkpoint(authors_file(tmp_path / "step.pt"), tmp_path / "out", Given(**given))
    with pytest.raises(AdapterError, match=r"the layer lora_te_model_layers_1.* is no layer of the base model. Give"):
        convert_checkpoint(kohya_file(tmp_path / "k.safetensors"), tmp_path / "out", Given(**given))


def test_a_file_that_is_missing_or_damaged_is_refused(base: str, tmp_path: Path) -> None:
    given = Given(base=base, method="lora", scaling="one")
    with pytest.raises(AdapterError, match=r"no such file: .*nothing.pt. Give a checkpoint file"):
        convert_checkpoint(tmp_path / "nothing.pt", tmp_path / "out", given)
    for name, write in (("step.pt", authors_file), ("k.safetensors", kohya_file)):
        file = write(tmp_path / name)
        file.write_bytes(file.read_bytes()[:-200])
        with pytest.raises(AdapterError, match=rf"{name} is damaged"):
            convert_checkpoint(file, tmp_path / "out", given)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_of_the_table_has_its_own_name(name: str) -> None:
    assert LAYOUTS[name].name == name
    assert LAYOUTS[name].__doc__
