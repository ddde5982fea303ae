"""ARC and HellaSwag with a real model: document by document what plain lm-eval says of the plain PEFT folders."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import datasets
import lm_eval
import pytest
import torch
from lm_eval.tasks import TaskManager
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

from aurac.harness import ENGINES
from aurac.harness.identity import base_identity, folder_sha256
from aurac.harness.model import load_base
from aurac.harness.protocols import parse_tasks
from aurac.harness.scoring import run_identity, score_adapter
from aurac.harness.suite import build_suite
from aurac.results import Run

MAX_RANK, SMALL = 8, 4
LIMIT = 12
SETS = ("allenai/ai2_arc", "Rowan/hellaswag")


@pytest.fixture(scope="module")
def own_tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """lm-eval's own files of two tasks, so that not all of its 14,000 names are read."""
    folder = tmp_path_factory.mktemp("lm-eval")
    source = Path(lm_eval.__file__).parent / "tasks"
    for name in ("arc", "hellaswag"):
        shutil.copytree(source / name, folder / name)
    return folder


@pytest.fixture
def hub(shared: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real data sets in a cache of `datasets`, as a machine that was once online has them."""
    folder = tmp_path_factory.mktemp("hub")
    command = [str(shared / "data" / "make_offline_hub.py"), str(folder / "hub"), "--only", *SETS]
    subprocess.run([sys.executable, *command, "--arrow-cache", str(folder / "cache")], check=True, capture_output=True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", folder / "cache")


@pytest.fixture(scope="module")
def folders(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """A plain PEFT folder of the maximal rank, and its first ranks cut out by plain means."""
    folder = tmp_path_factory.mktemp("adapters")
    base, _ = load_base(str(shared / "models" / "stories260K"), "float32", "cpu")
    torch.manual_seed(3)
    model = get_peft_model(base, LoraConfig(r=MAX_RANK, lora_alpha=16, target_modules="all-linear"))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder / "whole")
    shutil.copytree(folder / "whole", folder / "slice")
    tensors = load_file(folder / "whole" / "adapter_model.safetensors")
    cut = {k: (t[:SMALL] if "lora_A" in k else t[:, :SMALL]).contiguous() for k, t in tensors.items()}
    save_file(cut, folder / "slice" / "adapter_model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "slice" / "adapter_config.json").read_text())
    config |= {"r": SMALL, "lora_alpha": 16 * SMALL // MAX_RANK}  # the factor in front of B A stays 2
    (folder / "slice" / "adapter_config.json").write_text(json.dumps(config))
    return {MAX_RANK: folder / "whole", SMALL: folder / "slice"}


@pytest.mark.usefixtures("hub")
def test_arc_and_hellaswag_equal_lm_eval_over_the_plain_folder_and_over_its_slice(
    shared: Path, own_tasks: Path, folders: dict[int, Path], zeroed_rows: Any, tmp_path: Path
) -> None:
    base = str(shared / "models" / "stories260K")
    suite = build_suite(
        parse_tasks("arc_challenge@25,hellaswag@10:acc_norm"), include_path=own_tasks, limit=LIMIT, progress=False
    )

    adapter = {"sha256": folder_sha256(folders[MAX_RANK]), "method": "lora", "max_rank": MAX_RANK}

    def score(engine: str) -> Run:
        def open_model() -> Any:
            model, tokenizer = load_base(base, "float32", "cpu")
            model = PeftModel.from_pretrained(model, folders[MAX_RANK])
            return ENGINES[engine].around(model, tokenizer, batch_size=8), zeroed_rows(model, MAX_RANK)

        identity = run_identity(suite, adapter=adapter, base=base_identity(base), dtype="float32", engine=engine)
        run = score_adapter(
            open_model, suite, out=tmp_path / engine, identity=identity, ranks=[SMALL, MAX_RANK], progress=False
        )
        assert run is not None
        assert run.curves["arc_challenge"].num_fewshot == 25
        return run

    runs = [score(name) for name, engine in ENGINES.items() if engine.around]
    for rank, folder in folders.items():
        reference = lm_eval.simple_evaluate(
            "hf",
            model_args={"pretrained": base, "peft": str(folder), "dtype": "float32"},
            tasks=["arc_challenge", {"task": "hellaswag", "num_fewshot": 10}],
            num_fewshot=None,
            task_manager=Shots(include_path=str(own_tasks), include_defaults=False),
            limit=LIMIT,
            batch_size=8,
            device="cpu",
            bootstrap_iters=0,
        )
        for run, task, metric in product(runs, ("arc_challenge", "hellaswag"), ("acc", "acc_norm")):
            compare(run, task, metric, rank, reference["samples"][task])


class Shots(TaskManager):
    """lm-eval's own manager, with the shots of each task set before `simple_evaluate` sees them."""

    def load(self, names: Any) -> Any:
        loaded = super().load(["arc_challenge", "hellaswag"])
        for name, shots in (("arc_challenge", 25), ("hellaswag", 10)):
            loaded["tasks"][name].set_config(key="num_fewshot", value=shots)
        return loaded


def compare(run: Run, task: str, metric: str, rank: int, samples: list[dict[str, Any]]) -> None:
    curve = run.curve(task, metric)
    assert curve.scores is not None
    assert curve.documents == tuple(f"{task}/{s['doc_hash']}/{s['prompt_hash']}" for s in samples)
    assert curve.scores[:, curve.ranks.index(rank)].tolist() == [s[metric] for s in samples]
