"""A grid of LoRAs trained for one rank each, against plain PEFT with one adapter at a time."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel, get_peft_model

from aurac.errors import AdapterError, RankError
from aurac_adapters import Lora, MatryoshkaLora, attach, load_ranked, read_ranked, save_adapter
from aurac_adapters.folder.retrained import read_retrained
from aurac_adapters.methods.method import NestedMethod
from tiny import logits, randomise, tiny_llama

RANKS = (1, 2, 8)


def write_member(folder: Path, method: NestedMethod, *, seed: int) -> Path:
    model = get_peft_model(tiny_llama(), method.lora_config())
    randomise(model, seed=seed)
    return save_adapter(attach(model.eval(), method), folder)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grid")
    for rank in RANKS:
        write_member(folder / f"rank-{rank}", Lora(max_rank=rank, scaling="sqrt", seed=3), seed=rank)
    (folder / "aurac-run").mkdir()
    return folder


def test_at_rank_r_the_grid_is_what_plain_peft_loads_from_the_folder_of_rank_r(grid: Path) -> None:
    adapter = load_ranked(tiny_llama(), read_ranked(grid))
    assert adapter.max_rank == 8
    seen = []
    for rank in (8, 1, 2, 1):
        adapter.set_rank(rank)
        plain = PeftModel.from_pretrained(tiny_llama(), grid / f"rank-{rank}").eval()
        assert torch.equal(logits(adapter.model), logits(plain))
        seen.append(logits(adapter.model))
    assert torch.equal(seen[1], seen[3])
    assert not torch.allclose(seen[1], seen[2])


def test_the_record_of_a_grid_names_ranks_seed_and_every_hash(grid: Path) -> None:
    found = read_ranked(grid)
    described = found.method.to_dict()
    assert {key: described[key] for key in ("method", "max_rank", "ranks", "scaling", "seed")} == {
        "method": "grid-lora",
        "max_rank": 8,
        "ranks": [1, 2, 8],
        "scaling": "sqrt",
        "seed": 3,
    }
    assert described["sha256_of_rank"] == {str(rank): read_ranked(grid / f"rank-{rank}").sha256 for rank in RANKS}
    assert (found.own_ranks, found.inference) == (RANKS, "full")
    assert read_ranked(grid / "rank-2").own_ranks is None


def test_other_weights_at_one_rank_are_another_grid(grid: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(grid, tmp_path / "grid"))
    shutil.rmtree(other / "rank-2")
    write_member(other / "rank-2", Lora(max_rank=2, scaling="sqrt", seed=3), seed=99)
    assert read_retrained(other).sha256 != read_retrained(grid).sha256


def test_a_rank_that_was_not_trained_is_an_error(grid: Path) -> None:
    adapter = load_ranked(tiny_llama(), read_ranked(grid))
    with pytest.raises(RankError, match=r"no adapter was trained at rank 4; trained: 1, 2, 8. Ask for these"):
        adapter.set_rank(4)


def test_a_grid_has_no_inference_rule(grid: Path) -> None:
    with pytest.raises(AdapterError, match=r"the inference rule 'trained' has no meaning there. Leave it out"):
        load_ranked(tiny_llama(), read_ranked(grid), inference="trained")


def test_a_folder_without_ranks_is_no_grid(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"has no folders rank-1, rank-2, ... Train one LoRA for each rank"):
        read_retrained(tmp_path)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (Lora(max_rank=4, scaling="sqrt", seed=3), r"rank-2 holds an adapter of rank 4. Rename its folder"),
        (Lora(max_rank=2, scaling="one", seed=3), r"rank-2 has scaling one, .*rank-1 has sqrt. Train all adapters"),
        (Lora(max_rank=2, scaling="sqrt", seed=4), r"rank-2 has seed 4, .*rank-1 has 3"),
        (MatryoshkaLora(max_rank=2, seed=3), r"rank-2 is an adapter of method matryoshka; a grid holds plain LoRAs"),
    ],
)
def test_adapters_that_were_not_trained_alike_are_refused(
    method: NestedMethod, message: str, grid: Path, tmp_path: Path
) -> None:
    mixed = Path(shutil.copytree(grid, tmp_path / "grid"))
    shutil.rmtree(mixed / "rank-2")
    write_member(mixed / "rank-2", method, seed=2)
    with pytest.raises(AdapterError, match=message):
        read_ranked(mixed)


def test_adapters_of_different_bases_or_other_makers_are_refused(grid: Path, tmp_path: Path) -> None:
    def changed(name: str, change: Any) -> Path:
        folder = Path(shutil.copytree(grid, tmp_path / name))
        change(folder / "rank-8")
        return folder

    def rename_base(folder: Path) -> None:
        file = folder / "adapter_config.json"
        file.write_text(
            file.read_text().replace('"base_model_name_or_path": ', '"base_model_name_or_path": "x", "_": ')
        )

    with pytest.raises(AdapterError, match=r"rank-8 is an adapter without a sidecar"):
        read_ranked(changed("foreign", lambda folder: (folder / "aurac_adapter.json").unlink()))
    with pytest.raises(AdapterError, match=r"rank-8 has the base model x, .*rank-1 has"):
        read_ranked(changed("renamed", rename_base))
