"""Slices and merged models: plain PEFT and plain transformers give the logits of our evaluation at that rank."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from aurac import testbed
from aurac.errors import AdapterError, ModelError, RankError
from aurac_adapters import (
    DyLora,
    Lora,
    MatryoshkaLora,
    NestedMethod,
    at_rank,
    export_merged,
    export_slice,
    load_adapter,
    svd_rotate,
)
from aurac_adapters.folder.writing import check_new
from aurac_adapters.layer.config import trained_whole
from aurac_adapters.training.trainer import train
from short_training import base_model, config
from tiny import logits, tiny_llama
from tolerance import assert_same_function

Make = Callable[..., Path]
TRAINED = [Lora(max_rank=4, scaling="sqrt"), DyLora(max_rank=4), MatryoshkaLora(max_rank=4)]


@pytest.fixture(scope="module", params=[*TRAINED, None], ids=["lora", "dylora", "matryoshka", "svd-lora"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an adapter that the training loop made in three steps on the embedded model."""
    out = tmp_path_factory.mktemp("trained") / "adapter"
    method: NestedMethod | None = request.param
    folder = train(config(out, method=method or Lora(max_rank=4)))
    return folder if method else svd_rotate(folder, out.with_name("svd"))


@pytest.fixture
def saved_base(tmp_path: Path) -> Callable[..., Path]:
    """Write the tiny model as a folder, its config changed."""

    def save(**changes: Any) -> Path:
        folder = tmp_path / "base"
        model = tiny_llama()
        model.config.tie_word_embeddings = changes.get("tie_word_embeddings", False)
        model.tie_weights()
        model.save_pretrained(folder)
        file = folder / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))
        AutoTokenizer.from_pretrained(testbed.MODEL).save_pretrained(folder)
        return folder

    return save


@pytest.mark.parametrize("inference", ["prefix", "trained"])
def test_a_slice_of_a_trained_adapter_has_its_logits_at_every_rank(
    inference: str, trained: Path, tmp_path: Path
) -> None:
    ours = load_adapter(base_model(), trained, inference=inference)
    for rank in range(1, 5):
        plain = PeftModel.from_pretrained(
            base_model(), export_slice(trained, rank, tmp_path / f"r{rank}", inference=inference)
        )
        with at_rank(ours, rank):
            # The factors were rounded to float32 once, when p was folded in.
            assert_same_function(logits(plain.double()), logits(ours.model.double()), rounding=torch.float32)


@pytest.fixture(scope="module")
def float32_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the embedded model with float32 weights; it is stored in bfloat16."""
    folder = tmp_path_factory.mktemp("float32")
    base_model().save_pretrained(folder)
    AutoTokenizer.from_pretrained(testbed.MODEL).save_pretrained(folder)
    return folder


def test_a_merged_model_has_the_logits_of_the_adapter_beside_its_base(
    trained: Path, float32_base: Path, tmp_path: Path
) -> None:
    out = export_merged(trained, 3, tmp_path / "merged", inference="trained", base=str(float32_base))
    merged = AutoModelForCausalLM.from_pretrained(out)
    ours = load_adapter(base_model(), trained, inference="trained")
    ours.set_rank(3)
    assert_same_function(logits(merged.double()), logits(ours.model.double()), rounding=torch.float32)
    assert merged.config.use_cache
    assert {path.suffix for path in out.iterdir()} == {".json", ".safetensors", ".md"}
    text = "water the garden"
    assert AutoTokenizer.from_pretrained(out)(text) == AutoTokenizer.from_pretrained(testbed.MODEL)(text)


def test_a_merged_model_keeps_the_type_of_its_base_and_says_so(
    make_foreign: Make, saved_base: Make, tmp_path: Path
) -> None:
    base, folder = saved_base(dtype="bfloat16"), make_foreign()
    out = export_merged(folder, 8, tmp_path / "merged", base=str(base))
    merged = AutoModelForCausalLM.from_pretrained(out)
    assert merged.dtype == torch.bfloat16
    assert "weights in bfloat16, to which the sum was rounded" in (out / "README.md").read_text()
    exact = PeftModel.from_pretrained(tiny_llama(), folder).merge_and_unload()
    for name, weight in exact.named_parameters():
        assert_same_function(merged.get_parameter(name).float(), weight, rounding=torch.bfloat16)


@pytest.mark.parametrize("method", [Lora(max_rank=8), MatryoshkaLora(max_rank=8, scaling="rank")], ids=lambda m: m.name)
@pytest.mark.parametrize("inference", ["prefix", "trained"])
def test_padding_changes_the_rank_and_not_the_function(
    method: NestedMethod, inference: str, make_folder: Make, tmp_path: Path
) -> None:
    folder = make_folder(method)
    for rank, pad_to in ((3, 8), (8, 16)):
        plain, padded = (
            export_slice(folder, rank, tmp_path / f"{name}{rank}", inference=inference, pad_to=to)
            for name, to in (("plain", None), ("padded", pad_to))
        )
        assert json.loads((padded / "adapter_config.json").read_text())["r"] == pad_to
        assert_same_function(
            logits(PeftModel.from_pretrained(tiny_llama(), padded)),
            logits(PeftModel.from_pretrained(tiny_llama(), plain)),
        )


def test_a_slice_names_its_layers_where_the_source_has_an_expression(make_foreign: Make, tmp_path: Path) -> None:
    folder = make_foreign(target_modules=r".*\.1\.self_attn\.[qv]_proj")
    out = export_slice(folder, 8, tmp_path / "r8")
    config = json.loads((out / "adapter_config.json").read_text())
    assert config["target_modules"] == ["model.layers.1.self_attn.q_proj", "model.layers.1.self_attn.v_proj"]
    plain, source = (PeftModel.from_pretrained(tiny_llama(), path) for path in (out, folder))
    assert torch.equal(logits(plain), logits(source))


def test_a_slice_says_where_it_comes_from(make_folder: Make, tmp_path: Path) -> None:
    folder = make_folder(MatryoshkaLora(max_rank=8), "mine")
    out = export_slice(folder, 3, tmp_path / "rank-3", inference="trained", pad_to=8, base="organisation/model")
    card = ModelCard.load(out / "README.md")
    assert (card.data.base_model, card.data.library_name) == ("organisation/model", "peft")
    digest = json.loads((folder / "aurac_adapter.json").read_text())["sha256"]
    for text in (
        "# Rank 3 of mine",
        "of rank 8 (rank 3, filled up with zeros)",
        "| method | matryoshka, trained at ranks 1, 2, 4, 8 |",
        "| scaling | rule sqrt, gain 1 |",
        "| inference rule | trained |",
        f"| sha256 of the source's weights | `{digest}` |",
        'from_pretrained("organisation/model")',
    ):
        assert text in card.text
    assert json.loads((out / "adapter_config.json").read_text())["base_model_name_or_path"] == "organisation/model"


def test_a_slice_is_not_padded_to_less_than_its_rank(make_foreign: Make, tmp_path: Path) -> None:
    with pytest.raises(RankError, match=r"a slice of rank 4 cannot be padded to 2. Pad to 4 or more"):
        export_slice(make_foreign(), 4, tmp_path / "r4", pad_to=2)
    assert not (tmp_path / "r4").exists()


def test_a_quantised_base_is_never_merged_into(make_foreign: Make, saved_base: Make, tmp_path: Path) -> None:
    base = saved_base(quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True})
    with pytest.raises(ModelError, match=r"is quantised \(bitsandbytes\): a merged weight would be rounded .* --base"):
        export_merged(make_foreign(), 2, tmp_path / "merged", base=str(base))
    assert not (tmp_path / "merged").exists()


@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`", "ignore:Model has `tie_word_embeddings=True`")
def test_tied_embeddings_are_not_merged_into(make_foreign: Make, saved_base: Make, tmp_path: Path) -> None:
    folder = make_foreign(target_modules=["embed_tokens", "q_proj"])
    with pytest.raises(AdapterError, match=r"adapts model.embed_tokens, whose weight lm_head shares; merged, both"):
        export_merged(folder, 2, tmp_path / "merged", base=str(saved_base(tie_word_embeddings=True)))
    untied = export_merged(folder, 2, tmp_path / "merged", base=str(saved_base()))
    ours = load_adapter(tiny_llama(), folder)
    ours.set_rank(2)
    merged = AutoModelForCausalLM.from_pretrained(untied)
    assert_same_function(logits(merged), logits(ours.model))


def test_layers_of_different_ranks_can_be_merged(make_foreign: Make, saved_base: Make, tmp_path: Path) -> None:
    folder = make_foreign(rank_pattern={"q_proj": 4})
    merged = AutoModelForCausalLM.from_pretrained(export_merged(folder, 6, tmp_path / "m", base=str(saved_base())))
    ours = load_adapter(tiny_llama(), folder)
    ours.set_rank(6)
    assert_same_function(logits(merged), logits(ours.model))


@pytest.mark.parametrize("options", [{"modules_to_save": ["lm_head"]}, {"trainable_token_indices": [1, 2]}], ids=list)
def test_what_was_trained_whole_is_merged_whole(
    options: dict[str, Any], make_foreign: Make, saved_base: Make, tmp_path: Path
) -> None:
    folder = make_foreign(target_modules=["q_proj"], **options)
    file = folder / "adapter_model.safetensors"
    save_file({key: w if "lora_" in key else w + 0.1 for key, w in load_file(file).items()}, file)
    merged = AutoModelForCausalLM.from_pretrained(export_merged(folder, 2, tmp_path / "m", base=str(saved_base())))
    ours = load_adapter(tiny_llama(), folder)
    ours.set_rank(2)
    assert_same_function(logits(merged), logits(ours.model))
    expected = {name: weight for name, weight in tiny_llama().named_parameters() if "q_proj" not in name}
    assert not all(torch.equal(merged.get_parameter(name), weight) for name, weight in expected.items())


@pytest.mark.parametrize(
    ("config", "option"),
    [
        ({"bias": "none", "modules_to_save": None}, None),
        ({"bias": "all"}, "bias"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"trainable_token_indices": {"embed_tokens": [1]}}, "trainable_token_indices"),
    ],
)
def test_options_that_train_more_than_the_factors_are_known(config: dict[str, Any], option: str | None) -> None:
    assert trained_whole(config) == option


def test_merging_needs_a_base_that_is_there(make_foreign: Make, tmp_path: Path) -> None:
    folder = make_foreign()
    with pytest.raises(ModelError, match=r"no such base model folder: /nowhere/at/all"):
        export_merged(folder, 2, tmp_path / "merged", base="/nowhere/at/all")
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"base_model_name_or_path": None}))
    with pytest.raises(ModelError, match=r"does not name its base model. Give it with --base"):
        export_merged(folder, 2, tmp_path / "merged")


def test_a_slice_is_not_padded_to_nothing(make_foreign: Make, tmp_path: Path) -> None:
    with pytest.raises(RankError, match=r"a slice of rank 4 cannot be padded to 0\. Pad to 4 or more"):
        export_slice(make_foreign(), 4, tmp_path / "r4", pad_to=0)


@pytest.mark.parametrize("leads_somewhere", [True, False])
def test_a_link_is_no_place_for_a_new_folder(leads_somewhere: bool, tmp_path: Path) -> None:
    if leads_somewhere:
        (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    with pytest.raises(AdapterError, match=r"link is a symbolic link\. Give the folder that it is to lead to"):
        check_new(tmp_path / "link")
