"""Run by test_processes.py in each of two processes: score, generate, and write the answers that this process holds."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast

from aurac.harness.engine.lm import AuracLM
from aurac.harness.engine.processes import FailedElsewhereError, start_processes, together
from engine_cases import generation, requests, rolling, tiny_llama

PAIRS = [(f"{'qz' * 30} {letter * 9} j{letter}", choice) for letter in "abcdefghijk" for choice in (" x", " y w")]
PROMPTS = [f"one {letter}" for letter in "abcde"]


def fail(lm: AuracLM, index: int, failing: int) -> str:
    """Raise in one of the processes while the other one answers; return what this one hears of it."""
    try:
        with together():
            if index == failing:
                raise ValueError("no luck")
            lm.loglikelihood(requests(*PAIRS), disable_tqdm=True)
    except (ValueError, FailedElsewhereError) as error:
        return f"{type(error).__name__}: {error}"
    return "well"


def main(folder: Path) -> None:
    processes = start_processes()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder / "tokenizer")
    model = tiny_llama(len(tokenizer))
    lm = AuracLM(pretrained=model, tokenizer=tokenizer, batch_size=2)
    answers = {
        "loglikelihood": lm.loglikelihood(requests(*PAIRS), disable_tqdm=True),
        "rolling": lm.loglikelihood_rolling([rolling(text) for text in ("q" * 200, "the cat")], disable_tqdm=True),
        "texts": lm.generate_until([generation(p, until=["zq"], max_gen_toks=5) for p in PROMPTS], disable_tqdm=True),
        "sampled": lm.generate_until([generation(p, num_beams=2, max_gen_toks=3) for p in PROMPTS], disable_tqdm=True),
        "work": lm.reset_work().to_dict() | {"seconds": None},
        "world": [lm.rank, lm.world_size],
    }
    answers["reasons"] = [fail(lm, processes.index, failing) for failing in (0, 1)]
    answers["afterwards"] = lm.loglikelihood(requests(*PAIRS), disable_tqdm=True)
    (folder / f"{processes.index}-of-{processes.count}.json").write_text(json.dumps(answers))
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
