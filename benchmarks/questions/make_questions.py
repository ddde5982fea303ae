"""Questions with short answers, from the hub: training rows, and documents that choose settings.

    python benchmarks/questions/make_questions.py

commonsense_qa and ARC-Easy, in the words of lm-eval's tasks `commonsense_qa` (answered by a letter) and `arc_easy`
(answered by a text), so that these two, unmodified, are the test. Trained are 512 questions of each from the training
splits; `questions_choice` has 128 others of each: further training questions of commonsense_qa, whose validation split
is lm-eval's test, and the validation split of ARC-Easy. The files are written beside this script and not committed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import load_dataset

HERE = Path(__file__).parent
TRAINED, CHOOSING = 512, 128
Rows = list[dict[str, Any]]


def commonsense(document: dict[str, Any]) -> dict[str, Any]:
    """Return the query, choices and right choice of a document as lm-eval's `commonsense_qa` asks it."""
    labels, texts = document["choices"]["label"], document["choices"]["text"]
    listed = "".join(f"{label}. {text}\n" for label, text in zip(labels, texts, strict=True))
    query = f"Question: {document['question'].strip()}\n{listed}Answer:"
    return {"query": query, "choices": labels, "gold": labels.index(document["answerKey"])}


def arc(document: dict[str, Any]) -> dict[str, Any]:
    """Return the query, choices and right choice of a document as lm-eval's `arc_easy` asks it."""
    choices = document["choices"]
    query = f"Question: {document['question']}\nAnswer:"
    return {"query": query, "choices": choices["text"], "gold": choices["label"].index(document["answerKey"])}


def drawn(rng: random.Random, documents: Sequence[dict[str, Any]], count: int) -> Rows:
    """Return `count` documents in an order that the generator draws."""
    return rng.sample(list(documents), count)


def as_trained(row: dict[str, Any]) -> dict[str, str]:
    """Return the prompt and completion that teach the right choice."""
    return {"prompt": row["query"], "completion": f" {row['choices'][row['gold']]}"}


def write(name: str, rows: Rows) -> None:
    """Write one JSON object a line."""
    (HERE / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def main() -> None:
    """Write both files."""
    rng = random.Random(1)
    csqa = drawn(rng, load_dataset("tau/commonsense_qa", split="train"), TRAINED + CHOOSING)
    easy = load_dataset("allenai/ai2_arc", "ARC-Easy")
    trained = [commonsense(row) for row in csqa[:TRAINED]] + [arc(row) for row in drawn(rng, easy["train"], TRAINED)]
    choosing = [commonsense(row) for row in csqa[TRAINED:]]
    choosing += [arc(row) for row in drawn(rng, easy["validation"], CHOOSING)]
    rng.shuffle(trained)
    write("train.jsonl", [as_trained(row) for row in trained])
    write("questions_choice.jsonl", choosing)


if __name__ == "__main__":
    main()
