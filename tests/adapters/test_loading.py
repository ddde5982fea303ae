"""What `load_adapter` and `save_adapter` keep, change and refuse beyond the plain case."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peft import PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

from aurac.errors import AdapterError
from aurac_adapters import (
    DyLora,
    Lora,
    MatryoshkaLora,
    attach,
    export_slice,
    load_adapter,
    read_adapter,
    save_adapter,
    svd_rotate,
)
from tiny import logits, nested, randomise, tiny_llama
from tolerance import assert_same_function

Make = Callable[..., Path]
WEIGHTS, CONFIG, SIDECAR = "adapter_model.safetensors", "adapter_config.json", "aurac_adapter.json"


def change_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def change_weights(folder: Path, **more: torch.Tensor) -> None:
    tensors = load_file(folder / WEIGHTS)
    save_file(tensors | {key.replace("__", "."): value for key, value in more.items()}, folder / WEIGHTS)


# ---- what is kept


def test_loading_draws_nothing_from_the_global_generator(make_folder: Make) -> None:
    base, folder = tiny_llama(), make_folder(Lora(max_rank=4))
    before = torch.get_rng_state()
    load_adapter(base, folder)
    assert torch.equal(torch.get_rng_state(), before)


def test_on_a_bfloat16_base_the_weights_stay_float32_as_peft_loads_them(make_folder: Make) -> None:
    folder = make_folder(MatryoshkaLora(max_rank=8))
    ours = load_adapter(tiny_llama(torch.bfloat16), folder).model
    plain = PeftModel.from_pretrained(tiny_llama(torch.bfloat16), folder)
    assert torch.equal(logits(ours), logits(plain))
    weights = {name: weight for name, weight in ours.named_parameters() if "lora_A" in name}
    assert {weight.dtype for weight in weights.values()} == {torch.float32}
    stored = load_file(folder / WEIGHTS)
    assert all(torch.equal(weight, stored[name.replace(".default", "")]) for name, weight in weights.items())


def test_an_adapter_is_loaded_to_be_used_unless_training_is_to_go_on(make_folder: Make) -> None:
    folder = make_folder(DyLora(max_rank=4, frozen=True))
    used, trained = load_adapter(tiny_llama(), folder), load_adapter(tiny_llama(), folder, is_trainable=True)
    assert not used.model.training
    assert not any(weight.requires_grad for weight in used.model.parameters())
    assert all(weight.requires_grad for name, weight in trained.model.named_parameters() if "lora_" in name)
    assert used.method == trained.method == DyLora(max_rank=4, frozen=True)


def test_one_base_model_holds_two_adapters_at_different_ranks(make_folder: Make) -> None:
    one, two = make_folder(MatryoshkaLora(max_rank=8), "one"), make_folder(DyLora(max_rank=4), "two")
    first = load_adapter(tiny_llama(), one, adapter_name="one")
    first.set_rank(3)
    alone = logits(first.model)
    second = load_adapter(first.model, two, adapter_name="two")
    second.set_rank(2)
    expected = load_adapter(tiny_llama(), two)
    expected.set_rank(2)
    assert torch.equal(logits(second.model), logits(expected.model))
    assert not any(weight.requires_grad for weight in second.model.parameters())
    second.model.set_adapter("one")
    assert torch.equal(logits(first.model), alone)
    with pytest.raises(AdapterError, match=r"has an adapter 'two' already. Give another adapter_name"):
        load_adapter(first.model, two, adapter_name="two")


@pytest.mark.parametrize(
    "options",
    [
        {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
        {"target_modules": ["q_proj"], "trainable_token_indices": [1, 2]},
        {"target_modules": ["q_proj"], "bias": "all"},
    ],
    ids=lambda options: list(options)[-1],
)
def test_what_no_rank_indexes_is_kept_whole_at_every_rank(
    options: dict[str, Any], make_foreign: Make, tmp_path: Path
) -> None:
    folder = make_foreign(**options)
    ours = load_adapter(tiny_llama(), folder)
    assert torch.equal(logits(ours.model), logits(PeftModel.from_pretrained(tiny_llama(), folder)))
    ours.set_rank(2)
    plain = PeftModel.from_pretrained(tiny_llama(), export_slice(folder, 2, tmp_path / "r2"))
    assert_same_function(logits(plain), logits(ours.model))


def test_adapters_of_embedding_layers_are_saved_loaded_sliced_and_rotated(tmp_path: Path) -> None:
    method = MatryoshkaLora(max_rank=8, scaling="rank")
    model = get_peft_model(tiny_llama(), method.lora_config(target_modules=["embed_tokens", "q_proj"]))
    randomise(model)
    folder = save_adapter(attach(model.eval(), method, inference="trained"), tmp_path / "adapter")
    ours = load_adapter(tiny_llama(), folder)
    assert torch.equal(logits(ours.model), logits(model))
    rotated = load_adapter(tiny_llama(), svd_rotate(folder, tmp_path / "svd"))
    assert_same_function(logits(rotated.model), logits(ours.model))
    for rank in (1, 5, 8):
        ours.set_rank(rank)
        plain = PeftModel.from_pretrained(tiny_llama(), export_slice(folder, rank, tmp_path / f"r{rank}"))
        assert_same_function(logits(plain), logits(ours.model))


def test_a_bfloat16_folder_is_sliced_without_rounding_the_diagonal(tmp_path: Path) -> None:
    method = MatryoshkaLora(max_rank=8, scaling="sqrt")
    folder = save_adapter(nested(method, dtype=torch.bfloat16, inference="trained"), tmp_path / "adapter")
    assert {tensor.dtype for tensor in load_file(folder / WEIGHTS).values()} == {torch.bfloat16}
    ours = load_adapter(tiny_llama(), folder)
    ours.set_rank(3)
    plain = PeftModel.from_pretrained(tiny_llama(), export_slice(folder, 3, tmp_path / "r3"))
    assert_same_function(logits(plain), logits(ours.model))


# ---- how it is saved


def test_an_adapter_of_any_name_is_saved_into_the_folder_itself(tmp_path: Path) -> None:
    method = Lora(max_rank=4)
    model = get_peft_model(tiny_llama(), method.lora_config(), adapter_name="mine")
    randomise(model)
    folder = save_adapter(attach(model, method, adapter_name="mine"), tmp_path / "adapter")
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", CONFIG, WEIGHTS, SIDECAR]
    assert torch.equal(logits(load_adapter(tiny_llama(), folder).model), logits(model.eval()))


def test_a_rank_stabilised_adapter_is_saved_with_the_factor_that_every_server_reads(
    make_foreign: Make, tmp_path: Path
) -> None:
    ours = load_adapter(tiny_llama(), make_foreign(use_rslora=True))
    folder = save_adapter(ours, tmp_path / "again")
    config = json.loads((folder / CONFIG).read_text())
    assert config["use_rslora"] is False
    assert config["lora_alpha"] == pytest.approx(8 * 16 / 8**0.5)  # R times alpha / sqrt(R)
    plain = PeftModel.from_pretrained(tiny_llama(), folder)
    assert_same_function(logits(plain), logits(ours.model))


def test_layers_of_different_rank_are_saved_only_after_rotation(make_foreign: Make, tmp_path: Path) -> None:
    folder = make_foreign(rank_pattern={"q_proj": 4}, alpha_pattern={"v_proj": 3})
    ours = load_adapter(tiny_llama(), folder)
    with pytest.raises(AdapterError, match=r"the adapter has a rank_pattern, so it has no one rank. svd_rotate"):
        save_adapter(ours, tmp_path / "again")
    rotated = svd_rotate(folder, tmp_path / "svd")
    assert_same_function(logits(load_adapter(tiny_llama(), rotated).model), logits(ours.model))
    assert export_slice(rotated, 2, tmp_path / "r2").is_dir()


def test_the_rank_of_a_foreign_adapter_is_the_largest_that_a_layer_has(make_foreign: Make) -> None:
    folder = make_foreign(r=16, rank_pattern={"self_attn.*": 4, "mlp.*": 6}, lora_alpha=16)
    assert read_adapter(folder).method == Lora(max_rank=6)
    assert load_adapter(tiny_llama(), folder).max_rank == 6


def test_saving_over_an_adapter_replaces_it_and_keeps_what_else_is_there(tmp_path: Path) -> None:
    folder = save_adapter(nested(Lora(max_rank=4)), tmp_path / "adapter")
    (folder / "README.md").write_text("my own words")
    (folder / "aurac-run").mkdir()
    save_adapter(nested(MatryoshkaLora(max_rank=8)), folder)
    assert read_adapter(folder).method == MatryoshkaLora(max_rank=8)
    assert (folder / "README.md").read_text() == "my own words"
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", CONFIG, WEIGHTS, "aurac-run", SIDECAR]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("n_moves", [1, 2])
def test_a_save_that_is_cut_off_leaves_no_folder_that_reads_as_another_adapter(
    overwrite: bool, n_moves: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "adapter"
    if overwrite:
        save_adapter(nested(Lora(max_rank=8)), folder)
        (folder / "README.md").touch()
    else:
        folder.mkdir()
        (folder / "README.md").touch()
    other = nested(MatryoshkaLora(max_rank=8))
    randomise(other.model, seed=2)
    from aurac_adapters.folder import folder as module

    moves = []

    def killed_after(source: Any, target: Any, move: Any = module.os.replace) -> None:
        if Path(target).parent == folder:
            if len(moves) == n_moves:
                raise KeyboardInterrupt
            moves.append(target)
        move(source, target)

    monkeypatch.setattr(module.os, "replace", killed_after)
    with pytest.raises(KeyboardInterrupt):
        save_adapter(other, folder)
    monkeypatch.undo()
    with pytest.raises(AdapterError, match=r"has no adapter_model|belongs to other weights|a factor of"):
        read_adapter(folder)


def test_nothing_is_asked_of_the_hub_and_nothing_is_warned_of(tmp_path: Path) -> None:
    adapter = nested(Lora(max_rank=4))
    adapter.model.peft_config["default"].base_model_name_or_path = "organisation/model"
    folder = save_adapter(adapter, tmp_path / "adapter")  # warnings are errors here
    assert read_adapter(folder).base_model == "organisation/model"


def test_a_folder_that_peft_saved_again_says_what_it_once_was(make_folder: Make, tmp_path: Path) -> None:
    ours = load_adapter(tiny_llama(), make_folder(MatryoshkaLora(max_rank=8, scaling="one")))
    ours.model.save_pretrained(tmp_path / "again")
    found = read_adapter(tmp_path / "again")
    assert found.method == Lora(max_rank=8)
    assert "PEFT saved it again from a matryoshka adapter" in found.scaling_note


# ---- what is refused


def test_tensors_that_the_configuration_does_not_ask_for_are_an_error_not_left_out(make_foreign: Make) -> None:
    folder = make_foreign()
    change_json(folder / CONFIG, target_modules=["q_proj"])
    with pytest.raises(
        AdapterError, match=r"holds 24 tensors that its configuration does not ask for, the first .*lora"
    ):
        load_adapter(tiny_llama(), folder)


def test_tensors_of_another_kind_of_adapter_are_an_error(make_foreign: Make) -> None:
    folder = make_foreign(target_modules=["q_proj"])
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector"
    change_weights(folder, **{name.replace(".", "__"): torch.ones(32)})
    with pytest.raises(AdapterError, match=r"has 'lora_magnitude_vector' in it, which is no factor of a plain LoRA"):
        load_adapter(tiny_llama(), folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lora_alpha": 3}, r"says a factor of 1 at full rank, adapter_config.json one of 0.75 \(lora_alpha, r\)"),
        ({"use_rslora": True}, r"says a factor of 1 at full rank, adapter_config.json one of 2"),
        ({"init_lora_weights": "orthogonal"}, r"was initialised with 'orthogonal', which cancels at the full rank"),
        ({"rank_pattern": ["q_proj"]}, r"has rank_pattern \['q_proj'\]; an object of layer names is needed"),
        ({"rank_pattern": {"q_proj": 0}}, r"has rank 0; ranks are whole numbers from 1"),
        ({"alpha_pattern": {"q_proj": -1}}, r"has lora_alpha -1; a positive number is needed"),
        ({"lora_alpha": float("inf")}, r"has lora_alpha inf; a positive number is needed"),
        ({"lora_alpha": 10**400}, r"has lora_alpha 1000.*; a positive number is needed"),
        ({"layer_replication": [[0, 1]]}, r"uses layer_replication, whose weights are no stack of ranks"),
    ],
)
def test_configurations_that_contradict_sidecar_or_sense_are_refused(
    changes: dict[str, Any], message: str, make_folder: Make
) -> None:
    folder = make_folder(Lora(max_rank=4))
    change_json(folder / CONFIG, **changes)
    with pytest.raises(AdapterError, match=message):
        read_adapter(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": -1}, r"seed -1 is not a whole number from 0"),
        ({"normalize": "no"}, r"normalize of method 'matryoshka' is 'no'; it must be true or false"),
        ({"train_ranks": None}, r"NoneType"),
        ({"gain": "1"}, r"aurac_adapter.json: "),
        ({"scaling": "sqr"}, r"unknown scaling rule 'sqr'. Did you mean 'sqrt'"),
    ],
)
def test_sidecar_values_of_the_wrong_kind_are_refused(changes: dict[str, Any], message: str, make_folder: Make) -> None:
    folder = make_folder(MatryoshkaLora(max_rank=4))
    change_json(folder / SIDECAR, **changes)
    with pytest.raises(AdapterError, match=message):
        read_adapter(folder)


def test_a_sidecar_that_lacks_a_value_is_refused_since_a_guess_could_be_wrong(make_folder: Make) -> None:
    folder = make_folder(MatryoshkaLora(max_rank=4))
    content = json.loads((folder / SIDECAR).read_text())
    del content["train_ranks"], content["gain"]
    (folder / SIDECAR).write_text(json.dumps(content))
    with pytest.raises(AdapterError, match=r"method 'matryoshka' lacks gain, train_ranks"):
        read_adapter(folder)


def test_damage_is_found_before_a_base_model_is_needed(make_folder: Make) -> None:
    folder = make_folder(Lora(max_rank=4))
    key = next(iter(load_file(folder / WEIGHTS)))
    change_weights(folder, **{key.replace(".", "__"): torch.full((4, 64), float("nan"))})
    with pytest.raises(AdapterError, match=r"holds NaN or infinity; the training diverged"):
        read_adapter(folder)


@pytest.fixture(scope="module")
def whole_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    folder = save_adapter(nested(Lora(max_rank=2)), tmp_path_factory.mktemp("fuzz") / "adapter")
    return folder, (folder / WEIGHTS).read_bytes()


@given(data=st.data())
@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_weights_file_cut_or_altered_anywhere_is_one_clear_error(
    data: st.DataObject, whole_file: tuple[Path, bytes]
) -> None:
    folder, content = whole_file
    if data.draw(st.booleans()):
        damaged = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        at = data.draw(st.integers(0, len(content) - 1))
        flipped = content[at] ^ data.draw(st.integers(1, 255))
        damaged = content[:at] + bytes([flipped]) + content[at + 1 :]
    (folder / WEIGHTS).write_bytes(damaged)
    with pytest.raises(AdapterError, match=str(folder)):
        read_adapter(folder)


CONFIG_KEYS = st.sampled_from(["r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora", "x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(CONFIG_KEYS, inner, max_size=4),
    max_leaves=8,
)


@given(content=JSON)
@settings(max_examples=100, derandomize=True, deadline=None)
def test_a_configuration_of_any_json_is_one_clear_error(content: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("config")
    if isinstance(content, dict):
        content["peft_type"] = "LORA"
    (folder / CONFIG).write_text(json.dumps(content))
    with pytest.raises(AdapterError, match=str(folder)):
        read_adapter(folder)
