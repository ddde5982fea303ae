"""The engine under lm-eval's own evaluation: the same results as `--model hf`, whole dictionaries compared."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import lm_eval
import pytest
from lm_eval.tasks import TaskManager

from engine_cases import tiny_llama

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]

WORDS = ["cat", "dog", "sun", "mat"]
TASKS = {
    "tiny_choice": "output_type: multiple_choice\ndoc_to_choice: '{{choices}}'\ndoc_to_target: '{{answer}}'\n"
    "metric_list:\n  - metric: acc\n  - metric: acc_norm\n",
    "tiny_text": "output_type: generate_until\ndoc_to_target: '{{choices[answer]}}'\ngeneration_kwargs:\n"
    "  until: ['e']\n  max_gen_toks: 5\nmetric_list:\n  - metric: exact_match\n",
    "tiny_bits": "output_type: loglikelihood_rolling\ndoc_to_target: '{{question}}'\nmetric_list:\n"
    "  - metric: bits_per_byte\n",
}


@pytest.fixture
def folder(tmp_path: Path, tokenizer: Any) -> Path:
    """A model folder, documents and three tasks over them."""
    tiny_llama(len(tokenizer)).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    documents = [
        {"question": f"the {w} {'on the ' * i}", "choices": WORDS, "answer": i % 4} for i in range(5) for w in WORDS
    ]
    (tmp_path / "docs.jsonl").write_text("".join(json.dumps(document) + "\n" for document in documents))
    for name, rest in TASKS.items():
        data = f"dataset_path: json\ndataset_kwargs:\n  data_files: {tmp_path / 'docs.jsonl'}\ntest_split: train\n"
        text = f"task: {name}\n{data}doc_to_text: '{{{{question}}}}'\nfewshot_split: train\n{rest}"
        (tmp_path / f"{name}.yaml").write_text(text if name != "tiny_bits" else text.replace("'{{question}}'", "''", 1))
    return tmp_path


@pytest.mark.parametrize("shots", [0, 2])
def test_results_are_those_of_the_model_hf(folder: Path, shots: int) -> None:
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    arguments = {"pretrained": str(folder / "model"), "dtype": "float32"}
    results = [
        lm_eval.simple_evaluate(
            model,
            model_args=arguments,
            tasks=list(TASKS),
            task_manager=manager,
            num_fewshot=shots,
            device="cpu",
            bootstrap_iters=0,
        )["results"]
        for model in ("aurac", "hf")
    ]
    assert set(results[0]) == set(TASKS)
    for task, wanted in results[1].items():
        assert results[0][task] == pytest.approx(wanted, rel=1e-5, abs=1e-4, nan_ok=True)  # float32 logits


def test_lm_evals_command_line_knows_the_model(folder: Path) -> None:
    command = [sys.executable, "-m", "aurac.harness.engine", "run", "--model", "aurac", "--tasks", "tiny_choice"]
    command += ["--model_args", f"pretrained={folder / 'model'}", "--include_path", str(folder), "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert "tiny_choice" in done.stdout
    assert "acc_norm" in done.stdout
