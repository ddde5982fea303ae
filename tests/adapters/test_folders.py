"""Folders on disk: what unmodified PEFT makes of ours, what we make of others', and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from aurac.errors import AdapterError, RankError
from aurac_adapters import (
    DyLora,
    Lora,
    MatryoshkaLora,
    NestedMethod,
    export_slice,
    load_adapter,
    read_adapter,
    svd_rotate,
)
from aurac_adapters.export.rotation import rotate
from tiny import logits, nested, tiny_llama
from tolerance import assert_same_function

METHODS_HERE = [
    Lora(max_rank=8),
    DyLora(max_rank=8, scaling="sqrt", gain=3.0),
    MatryoshkaLora(max_rank=8, scaling="rank"),
    MatryoshkaLora(max_rank=8, scaling="sqrt", normalize=True),
]
names = [f"{m.name}-{m.scaling}" for m in METHODS_HERE]
Make = Callable[..., Path]


@pytest.mark.parametrize("method", METHODS_HERE, ids=names)
def test_unmodified_peft_loads_the_folder_and_gives_our_logits_at_full_rank_to_the_bit(
    method: NestedMethod, make_folder: Make
) -> None:
    folder = make_folder(method)
    plain = PeftModel.from_pretrained(tiny_llama(), folder)
    ours = load_adapter(tiny_llama(), folder)
    assert torch.equal(logits(plain), logits(ours.model))


@pytest.mark.parametrize("method", METHODS_HERE, ids=names)
def test_a_folder_comes_back_as_the_method_that_wrote_it(method: NestedMethod, make_folder: Make) -> None:
    folder = make_folder(method, inference="trained")
    ours = load_adapter(tiny_llama(), folder)
    assert (ours.method, ours.inference, ours.max_rank) == (method, "trained", 8)
    before = nested(method, inference="trained")
    for rank in (1, 5, 8):
        ours.set_rank(rank)
        before.set_rank(rank)
        assert torch.equal(logits(ours.model), logits(before.model))
    config = json.loads((folder / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["use_rslora"]) == (8, method.lora_alpha, False)
    assert config["auto_mapping"]["aurac"]["method"] == method.name


@pytest.mark.parametrize("method", METHODS_HERE, ids=names)
@pytest.mark.parametrize("inference", ["prefix", "trained"])
def test_every_slice_is_a_plain_peft_adapter_with_our_logits_at_that_rank(
    method: NestedMethod, inference: str, make_folder: Make, tmp_path: Path
) -> None:
    folder = make_folder(method)
    ours = load_adapter(tiny_llama(), folder, inference=inference)
    for rank in range(1, 9):
        out = export_slice(folder, rank, tmp_path / f"r{rank}", inference=inference)
        assert not (out / "aurac_adapter.json").exists()
        ours.set_rank(rank)
        plain = PeftModel.from_pretrained(tiny_llama(), out)
        assert_same_function(logits(plain), logits(ours.model))
        config = json.loads((out / "adapter_config.json").read_text())
        assert (config["r"], config["use_rslora"], config["rank_pattern"]) == (rank, False, {})


@pytest.mark.parametrize("options", [{}, {"use_rslora": True}, {"rank_pattern": {"q_proj": 4}}, {"lora_alpha": 3}])
def test_a_folder_of_another_maker_is_plain_lora_whose_prefixes_keep_its_own_factor(
    options: dict[str, Any], make_foreign: Make
) -> None:
    folder = make_foreign(**options)
    ours = load_adapter(tiny_llama(), folder)
    assert (ours.method.name, ours.method.scaling, ours.max_rank) == ("lora", "one", 8)
    assert "no sidecar" in read_adapter(folder).scaling_note
    assert torch.equal(logits(ours.model), logits(PeftModel.from_pretrained(tiny_llama(), folder)))
    ours.set_rank(3)
    cut = PeftModel.from_pretrained(tiny_llama(), folder)
    for name, weight in cut.named_parameters():
        if "lora_A" in name:
            weight.data[3:] = 0
    assert_same_function(logits(ours.model), logits(cut))


def test_a_slice_of_a_rank_stabilised_adapter_needs_no_use_rslora(make_foreign: Make, tmp_path: Path) -> None:
    folder = make_foreign(use_rslora=True)  # factor 16 / sqrt(8)
    out = export_slice(folder, 2, tmp_path / "r2")
    config = json.loads((out / "adapter_config.json").read_text())
    assert config["lora_alpha"] == pytest.approx(2 * 16 / 8**0.5)
    assert config["use_rslora"] is False


@pytest.mark.parametrize("foreign", [False, True])
def test_svd_rotation_keeps_the_full_rank_and_makes_every_prefix_the_best_one(
    foreign: bool, make_folder: Make, make_foreign: Make, tmp_path: Path
) -> None:
    folder = make_foreign(use_rslora=True) if foreign else make_folder(MatryoshkaLora(max_rank=8), inference="trained")
    before = load_adapter(tiny_llama(), folder)
    after = load_adapter(tiny_llama(), svd_rotate(folder, tmp_path / "svd"))
    assert after.method.name == "svd-lora"
    assert_same_function(logits(after.model), logits(before.model))
    source, rotated = (
        load_file(folder / "adapter_model.safetensors"),
        load_file(tmp_path / "svd/adapter_model.safetensors"),
    )
    p = torch.tensor(before.method.inference_diagonal(8, before.inference))
    for key in (k for k in source if k.endswith("lora_A.weight")):
        b_key = key.replace("lora_A", "lora_B")
        product = source[b_key].double() * p @ source[key].double()
        u, s, vt = torch.linalg.svd(product, full_matrices=False)
        for rank in (1, 4, 8):
            best = (u[:, :rank] * s[:rank]) @ vt[:rank]
            got = rotated[b_key][:, :rank].double() @ rotated[key][:rank].double()
            assert_same_function(got, best, rounding=torch.float32)


def test_rotation_of_a_layer_narrower_than_the_rank_pads_with_zeros() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(s, generator=generator, dtype=torch.float64) for s in ((6, 20), (4, 6)))
    new_a, new_b = rotate(a, b)
    assert (new_a.shape, new_b.shape) == (a.shape, b.shape)
    torch.testing.assert_close(new_b @ new_a, b @ a)
    assert not new_a[4:].any()


def break_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> Path:
    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})
    return folder


def rewrite_config(folder: Path, **changes: Any) -> Path:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


def first(tensors: dict[str, torch.Tensor], end: str) -> str:
    return next(key for key in tensors if key.endswith(end))


def test_nan_weights_are_named(make_foreign: Make) -> None:
    folder = break_weights(make_foreign(), lambda t: t[first(t, "lora_B.weight")].fill_(float("nan")))
    with pytest.raises(AdapterError, match=r"lora_B.weight holds NaN or infinity; the training diverged"):
        load_adapter(tiny_llama(), folder)


def test_an_untrained_adapter_is_refused(make_foreign: Make) -> None:
    folder = break_weights(make_foreign(), lambda t: [w.zero_() for k, w in t.items() if "lora_B" in k])
    with pytest.raises(AdapterError, match=r"all updates are 0, so the adapter does nothing; it was not trained"):
        load_adapter(tiny_llama(), folder)


def test_a_missing_factor_is_refused_where_peft_would_fill_it_with_random_numbers(make_foreign: Make) -> None:
    folder = break_weights(make_foreign(), lambda t: t.pop(first(t, "lora_B.weight")))
    with pytest.raises(AdapterError, match=r"has no tensor .*lora_B.weight; the adapter is incomplete"):
        load_adapter(tiny_llama(), folder)


def test_a_whole_layer_that_is_missing_is_refused_too(make_foreign: Make) -> None:
    def drop(tensors: dict[str, torch.Tensor]) -> None:
        name = first(tensors, "lora_A.weight").removesuffix("lora_A.weight")
        del tensors[name + "lora_A.weight"], tensors[name + "lora_B.weight"]

    with pytest.raises(AdapterError, match=r"lacks 2 tensors that its configuration asks for, the first .*lora_A"):
        load_adapter(tiny_llama(), break_weights(make_foreign(), drop))


def test_ranks_that_contradict_the_configuration_are_refused(make_foreign: Make) -> None:
    with pytest.raises(
        AdapterError, match=r"has lora_A \(8, 64\) and lora_B \(32, 8\), but the configuration says r = 4"
    ):
        load_adapter(tiny_llama(), rewrite_config(make_foreign(), r=4))


def test_a_truncated_file_is_refused(make_foreign: Make) -> None:
    path = make_foreign() / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(AdapterError, match=r"adapter_model.safetensors is damaged or no safetensors file"):
        load_adapter(tiny_llama(), path.parent)


def test_an_adapter_of_another_base_model_is_refused(make_foreign: Make) -> None:
    folder = make_foreign()
    with pytest.raises(AdapterError, match=r"layer model.layers.0.mlp.down_proj is 64 to 32 wide, in the base model"):
        load_adapter(tiny_llama(hidden=48), folder)
    with pytest.raises(AdapterError, match=r"adapts the layer model.layers.1.* which the base model does not have"):
        load_adapter(tiny_llama(layers=1), folder)


def test_pickles_are_never_read(make_foreign: Make) -> None:
    folder = make_foreign()
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(AdapterError, match=r"no adapter_model.safetensors \(adapter_model.bin is a pickle .* convert"):
        read_adapter(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peft_type": "IA3"}, r"is of type 'IA3'; only LORA has sub-ranks"),
        ({"use_dora": True}, r"uses use_dora, which no rank indexes"),
        ({"lora_bias": True}, r"uses lora_bias, which no rank indexes"),
        ({"kasa_config": {"beta": 1e-4}}, r"uses kasa_config, which is another layer than B A. Train without it"),
        ({"use_bdlora": {"nblocks": 2}}, r"uses use_bdlora, which is another layer than B A"),
        (
            {"target_parameters": ["experts"]},
            r"uses target_parameters \(experts\): lora_A of a parameter stacks r rows",
        ),
        (
            {"init_lora_weights": "pissa_niter_4"},
            r"was initialised with 'pissa_niter_4', which changes the base weights",
        ),
        ({"r": "8"}, r"has rank '8'; ranks are whole numbers from 1\. Save the adapter again"),
        ({"lora_alpha": "16"}, r"has lora_alpha '16'; a positive number is needed\. Save it again"),
        ({"lora_alpha": None}, r"has lora_alpha None; a positive number is needed"),
    ],
)
def test_configurations_without_sub_ranks_are_refused(
    changes: dict[str, Any], message: str, make_foreign: Make
) -> None:
    with pytest.raises(AdapterError, match=message):
        read_adapter(rewrite_config(make_foreign(), **changes))


def test_folders_that_are_no_adapters_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"no such folder: .*nowhere"):
        read_adapter(tmp_path / "nowhere")
    with pytest.raises(AdapterError, match=r"is no PEFT adapter: it has no adapter_config.json"):
        read_adapter(tmp_path)
    for text in ("{", "[]", "[" * 100_000):
        (tmp_path / "adapter_config.json").write_text(text)
        with pytest.raises(AdapterError, match=r"adapter_config.json (is damaged|holds no JSON object)"):
            read_adapter(tmp_path)


def rewrite_sidecar(folder: Path, **changes: Any) -> Path:
    path = folder / "aurac_adapter.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": 99}, r"has schema version 99, this aurac reads version 1"),
        ({"sha256": "0" * 64}, r"belongs to other weights than adapter_model.safetensors"),
        ({"method": "matrioshka"}, r"unknown adapter method 'matrioshka'. Did you mean 'matryoshka'"),
        ({"max_rank": 4, "train_ranks": [4]}, r"says max_rank 4, adapter_config.json says r = 8"),
        ({"temperature": 1}, r"unknown key 'temperature' of method 'lora'"),
        ({"inference": "both"}, r"has inference 'both'; known: prefix, trained"),
        ({"max_rank": None}, r"max_rank None is not a whole number"),
        (
            {"method": "tail", "package": "aurac-tail"},
            r"unknown adapter method 'tail'.* says that it is of the package aurac-tail; install it if you trust it",
        ),
    ],
)
def test_a_sidecar_that_does_not_fit_is_refused(changes: dict[str, Any], message: str, make_folder: Make) -> None:
    folder = rewrite_sidecar(make_folder(Lora(max_rank=8)), **changes)
    with pytest.raises(AdapterError, match=message):
        read_adapter(folder)


def test_a_slice_never_overwrites_and_never_leaves_half_a_folder(make_foreign: Make, tmp_path: Path) -> None:
    folder = make_foreign()
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(AdapterError, match=r"is not empty. Give a folder that does not exist yet"):
        export_slice(folder, 2, folder)
    with pytest.raises(RankError, match=r"rank 9 is out of range; allowed: 1 to 8"):
        export_slice(folder, 9, tmp_path / "r9")
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["foreign"]


def test_an_adapter_with_patterns_is_scored_but_not_sliced(make_foreign: Make, tmp_path: Path) -> None:
    for pattern in ("rank_pattern", "alpha_pattern"):
        folder = make_foreign(pattern, **{pattern: {"q_proj": 4}})
        with pytest.raises(AdapterError, match=rf"has layers .* \({pattern}\), which some servers ignore. Merge it"):
            export_slice(folder, 2, tmp_path / "r2")
