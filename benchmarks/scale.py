"""What a study costs: tokens of a scoring from the engine's committed counts, FLOP, and hours on a GPU that is given.

    python benchmarks/scale.py --tflops 200 --gigabytes-per-second 2000

Prompts are as many tokens a document as `results/engine/cpu-small.json` counts for the published shots; a token that is
read costs 2 FLOP for each parameter, one that is trained 6 (the frozen weights have no gradients, and gradient
checkpointing computes the forward pass again). A step that writes one token for each text of a batch reads all weights
from memory once.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

COUNTS = Path(__file__).parents[1] / "results/engine/cpu-small.json"
DOCUMENTS = {"arc": 1172, "hellaswag": 10042, "mmlu": 14042, "gsm8k": 1319}
RANKS = 10  # nine, and the base model
TRAINED = 3 * 1_415_783  # GSM8K in SmolLM2's tokens, three epochs
READ, LEARNED = 2, 6  # FLOP for each parameter and token


def tokens_of(task: str) -> tuple[float, float]:
    """Return (tokens read, tokens written) for a document, as measured."""
    (found,) = (entry for entry in json.loads(COUNTS.read_text())["tasks"] if entry["task"] == task)
    work = found["work"]
    written = work["tokens_generated"] / found["documents"]
    return work["tokens_forwarded"] / found["documents"] - written, written


def scoring_hours(parameters: float, flops: float, bandwidth: float, rows: int, answer: float) -> dict[str, float]:
    """Return task -> hours for one adapter at all ranks.

    Args:
        parameters: Of the base model.
        flops: FLOP a second that are reached.
        bandwidth: Bytes a second that are reached.
        rows: Texts that are written at a time.
        answer: Tokens of a text.
    """
    found = {}
    for task, documents in DOCUMENTS.items():
        read, written = tokens_of(task)
        seconds = documents * read * READ * parameters / flops
        if written:
            seconds += documents * answer / rows * 2 * parameters / bandwidth  # two bytes a weight
        found[task] = RANKS * seconds / 3600
    return found


def training_hours(parameters: float, flops: float) -> float:
    """Return hours of one training; the methods take the same (results/training_cost)."""
    return TRAINED * LEARNED * parameters / flops / 3600


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tflops", type=float, required=True, help="10^12 FLOP a second that the GPU reaches")
    parser.add_argument("--gigabytes-per-second", type=float, required=True, help="that it reads weights with")
    parser.add_argument("--rows", type=int, default=64, help="texts written at a time (default: 64)")
    parser.add_argument("--answer", type=float, default=150, help="tokens of an answer of GSM8K (default: 150)")
    args = parser.parse_args()
    print("| task | documents | tokens read, a document | tokens read, a rank (10^6) |\n|---|---|---|---|")
    for task, documents in DOCUMENTS.items():
        read, _ = tokens_of(task)
        print(f"| {task} | {documents:,} | {read:,.0f} | {documents * read / 1e6:.1f} |")
    print(
        "\n| base | training, h | scoring, h | " + " | ".join(DOCUMENTS) + " |\n|---|---|---|" + "---|" * len(DOCUMENTS)
    )
    for name, parameters in (("1B", 1.24e9), ("8B", 8.03e9)):
        flops, bandwidth = args.tflops * 1e12, args.gigabytes_per_second * 1e9
        tasks = scoring_hours(parameters, flops, bandwidth, args.rows, args.answer)
        each = " | ".join(f"{hours:.2f}" for hours in tasks.values())
        print(f"| {name} | {training_hours(parameters, flops):.2f} | {sum(tasks.values()):.2f} | {each} |")


if __name__ == "__main__":
    main()
