"""Keys of adapter files that went through a wrapper: read as PEFT writes them, or refused by name."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peft import PeftModel
from safetensors.torch import load_file, save_file

from aurac.errors import AdapterError
from aurac_adapters import export_slice, load_adapter, read_adapter, read_facts, svd_rotate
from aurac_adapters.folder.key_names import WRAPPERS, clean_keys
from tiny import logits, tiny_llama

Make = Callable[..., Path]
Q = "base_model.model.model.layers.0.self_attn.q_proj"
CLEAN = (f"{Q}.lora_A.weight", f"{Q}.lora_B.weight", "base_model.model.lm_head.weight")


def renamed(folder: Path, change: Callable[[str], str]) -> Path:
    path = folder / "adapter_model.safetensors"
    save_file({change(key): tensor for key, tensor in load_file(path).items()}, path, metadata={"format": "pt"})
    return folder


@st.composite
def wrapped(draw: st.DrawFn, key: str) -> str:
    """A clean key with any number of known wrappers in any place, and the prefix missing, doubled or as it is."""
    inner = key.removeprefix("base_model.model.").split(".")
    prefix = draw(st.sampled_from([[], ["base_model", "model"], ["base_model", "model"] * 2]))
    parts = [*prefix, *inner]
    if prefix:
        parts = [*draw(st.sampled_from([[], ["model"], ["pretrained_model"]])), *parts]
    for name in draw(st.lists(st.sampled_from(sorted(WRAPPERS)), max_size=4)):
        parts.insert(draw(st.integers(0, len(parts))), name)
    return ".".join(parts)


@given(st.sampled_from(CLEAN).flatmap(lambda key: st.tuples(st.just(key), wrapped(key))))
def test_any_combination_of_known_wrappers_in_any_place_gives_the_key_that_peft_writes(pair: tuple[str, str]) -> None:
    key, odd = pair
    found = clean_keys([odd], "file")
    assert found.names == {odd: key}
    assert (found.note is None) == (odd == key)


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz_0123456789", min_size=1).filter(lambda name: name != "weight"))
def test_the_name_of_an_adapter_inside_a_key_is_left_out(name: str) -> None:
    if name in WRAPPERS or name in ("lora_A", "lora_B", "modules_to_save"):  # no names that PEFT could tell apart
        return
    keys = [
        f"{Q}.lora_A.{name}.weight",
        f"{Q}.lora_B.{name}.weight",
        f"base_model.model.head.modules_to_save.{name}.weight",
    ]
    found = clean_keys(keys, "file")
    assert list(found.names.values()) == [CLEAN[0], CLEAN[1], "base_model.model.head.weight"]
    assert found.note is not None
    assert f"adapter name {name!r} left out (3 of 3 keys)" in found.note


def test_the_note_lists_what_was_left_out_in_the_order_of_the_keys() -> None:
    note = clean_keys([f"module._orig_mod.{CLEAN[0]}", f"module._orig_mod.{CLEAN[1]}"], "file").note
    assert note is not None
    assert note.endswith(
        "module. of DDP or DataParallel left out (2 of 2 keys), _orig_mod. of torch.compile left out (2 of 2 keys)."
    )


@pytest.mark.parametrize(
    ("key", "clean"),
    [
        ("base_model.model.model.embed_tokens.lora_A.weight", "base_model.model.model.embed_tokens.lora_embedding_A"),
        ("base_model.model.model.embed_tokens.lora_A", "base_model.model.model.embed_tokens.lora_embedding_A"),
        (
            "base_model.model.transformer.wte.lora_embedding_B.default",
            "base_model.model.transformer.wte.lora_embedding_B",
        ),
        (f"{Q}.lora_A", f"{Q}.lora_A.weight"),
        (f"{Q}.lora_A.default", f"{Q}.lora_A.weight"),
        (
            "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta.default",
            "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta",
        ),
    ],
)
def test_factors_get_the_end_that_peft_gives_to_their_kind_of_layer(key: str, clean: str) -> None:
    assert clean_keys([key], "file").names == {key: clean}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ([f"my_wrapper.{CLEAN[0]}"], r"has 'my_wrapper' in it, which is no layer of a model but a wrapper that is not"),
        ([CLEAN[0].replace("q_proj", "q_proj._wrapped")], r"has '_wrapped' in it, which is no layer of a model"),
        (["base_model.layers.0.q_proj.lora_A.weight"], r"starts with base_model. and not with base_model.model."),
        (["base_model.model.lora_A.weight"], r"names no layer before lora_A"),
        ([f"{Q}.lora_A.default.parametrizations.weight.original"], r"is no factor of a LoRA; lora_A.weight is the end"),
        ([f"{Q}.lora_magnitude_vector"], r"has 'lora_magnitude_vector' in it, which is no factor of a plain LoRA"),
        (
            [CLEAN[0], f"_orig_mod.{CLEAN[0]}"],
            r"holds .* and _orig_mod.*, which are both base_model",
        ),
        ([f"{Q}.lora_A.one.weight", f"{Q}.lora_B.two.weight"], r"holds several adapters, 'one', 'two'. Save one of"),
    ],
)
def test_what_is_no_known_wrapper_is_refused_by_name(keys: list[str], message: str) -> None:
    with pytest.raises(AdapterError, match=message):
        clean_keys(keys, "adapter_model.safetensors")


ODD: dict[str, Callable[[str], str]] = {
    "torch.compile": lambda key: f"_orig_mod.{key}",
    "torch.compile inside": lambda key: key.replace("base_model.model.", "base_model.model._orig_mod."),
    "DDP": lambda key: f"module.{key}",
    "FSDP and checkpointing of every layer": lambda key: key.replace(
        ".self_attn.", "._fsdp_wrapped_module._checkpoint_wrapped_module.self_attn."
    ).replace(".mlp.", "._fsdp_wrapped_module._checkpoint_wrapped_module.mlp."),
    "FSDP of every factor": lambda key: key.replace(".weight", "._fsdp_wrapped_module.weight"),
    "no prefix": lambda key: key.removeprefix("base_model.model."),
    "doubled prefix": lambda key: f"base_model.model.{key}",
    "adapter name": lambda key: key.replace(".weight", ".default.weight"),
    "all at once": lambda key: f"module._orig_mod.{key.replace('.weight', '.policy.weight')}",
}


@pytest.mark.parametrize("kind", ODD)
def test_every_door_gives_the_function_that_plain_peft_gives_with_clean_keys(
    kind: str, make_foreign: Make, tmp_path: Path
) -> None:
    expected = {rank: logits(cut(make_foreign(f"clean{rank}"), rank)) for rank in (3, 8)}
    folder = renamed(make_foreign("odd"), ODD[kind])
    base = logits(tiny_llama())
    with pytest.warns(UserWarning, match="the weights have keys that PEFT would not find; they are read as it writes"):
        found = read_adapter(folder)
    assert len(found.notes) == 1
    assert read_facts(folder).notes == found.notes
    assert "model.layers.0.self_attn.q_proj" in read_facts(folder).layers
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        ours = load_adapter(tiny_llama(), folder)
        sliced = PeftModel.from_pretrained(tiny_llama(), export_slice(folder, 3, tmp_path / "r3"))
        rotated = PeftModel.from_pretrained(tiny_llama(), svd_rotate(folder, tmp_path / "svd"))
    # float32 sums in another order: a few units in the last place of logits of order 1
    close = {"rtol": 1e-4, "atol": 2e-5}
    assert torch.equal(logits(ours.model), expected[8])
    ours.set_rank(3)
    torch.testing.assert_close(logits(ours.model), expected[3], **close)
    torch.testing.assert_close(logits(sliced), expected[3], **close)
    torch.testing.assert_close(logits(rotated), expected[8], **close)
    for model in (ours.model, sliced, rotated):
        assert (logits(model) - base).abs().max() > 0.01  # the adapter does something


def cut(folder: Path, rank: int) -> PeftModel:
    """Plain PEFT, its factors beyond a rank set to 0."""
    model = PeftModel.from_pretrained(tiny_llama(), folder)
    for name, weight in model.named_parameters():
        if "lora_A" in name:
            weight.data[rank:] = 0
    return model


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_file_whose_keys_all_differ_loads_as_the_clean_one(data: st.DataObject, make_foreign: Make) -> None:
    folder = make_foreign(target_modules=["q_proj"])
    expected = logits(PeftModel.from_pretrained(tiny_llama(), folder))
    renamed(folder, lambda key: data.draw(wrapped(key)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        assert torch.equal(logits(load_adapter(tiny_llama(), folder).model), expected)


def test_names_of_layers_in_the_configuration_are_cleaned_too(make_foreign: Make) -> None:
    full = [f"model.layers.{n}.self_attn.q_proj" for n in range(2)]
    folder = make_foreign(target_modules=full, rank_pattern={full[0]: 4})
    expected = logits(PeftModel.from_pretrained(tiny_llama(), folder))
    path = folder / "adapter_config.json"
    odd = json.loads(path.read_text()) | {
        "target_modules": [f"_orig_mod.{name}" for name in full],
        "rank_pattern": {f"_orig_mod.{full[0]}": 4},
    }
    path.write_text(json.dumps(odd))
    renamed(folder, ODD["torch.compile inside"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        notes = read_adapter(folder).notes
        assert notes[1] == "the configuration has names of wrappers in rank_pattern, target_modules; they are left out."
        assert torch.equal(logits(load_adapter(tiny_llama(), folder).model), expected)


def test_a_layer_that_target_modules_does_not_name_is_refused_by_every_door(make_foreign: Make, tmp_path: Path) -> None:
    folder = renamed(make_foreign(), lambda key: key.replace("q_proj", "q_proj.wrapped"))
    for door in (
        read_adapter,
        read_facts,
        lambda f: export_slice(f, 2, tmp_path / "a"),
        lambda f: svd_rotate(f, tmp_path / "b"),
    ):
        with pytest.raises(AdapterError, match=r"holds 4 tensors that its configuration does not ask for, the first"):
            door(folder)


def test_a_slice_of_an_adapter_of_no_layer_of_its_base_is_refused_where_the_base_is_on_this_machine(
    make_foreign: Make, tmp_path: Path
) -> None:
    tiny_llama().save_pretrained(tmp_path / "base")
    folder = renamed(make_foreign(), lambda key: key.replace("base_model.model.", "base_model.model.wrapped."))
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": str(tmp_path / "base")}))
    for door in (lambda: export_slice(folder, 2, tmp_path / "a"), lambda: svd_rotate(folder, tmp_path / "b")):
        with pytest.raises(AdapterError, match=r"It has model.*: 'wrapped' is a wrapper that is not known"):
            door()
