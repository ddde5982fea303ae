"""Tasks of which a part is asked, and a model that answers them from hashes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from lm_eval.api.model import LM

from aurac.harness.part_order import Wanted
from aurac.harness.protocols import parse_tasks
from aurac.harness.scoring import run_identity, score_adapter
from aurac.harness.suite import Suite, build_suite
from aurac.results import Run

RANKS = (1, 2, 4)
HELD = """
task: NAME
dataset_path: json
dataset_kwargs: {data_files: {test: FOLDER/NAME.jsonl}}
output_type: multiple_choice
test_split: test
doc_to_text: "{{question}}"
doc_to_choice: ["no", "yes"]
doc_to_target: "{{label}}"
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: f1, aggregation: f1, higher_is_better: true}
"""
SIZES = {"held": 400, "short": 60, "sure": 300, "shared": 120}


class Knowing(LM):
    """A model that answers right with a probability that rises with the rank, from a hash of document and rank."""

    def __init__(self) -> None:
        super().__init__()
        self._device = "cpu"
        self.at, self.asked, self.fail_at, self.stop_after = 0, [], None, None

    max_rank = 4

    def set_rank(self, rank: int) -> None:
        self.at = rank

    def set_base(self) -> None:
        self.at = 0

    def loglikelihood(self, requests: Any, disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        self.asked += [(self.at, request.args[0]) for request in requests]
        if self.stop_after is not None and len(self.asked) > self.stop_after:
            raise KeyboardInterrupt
        if self.at == self.fail_at:
            raise RuntimeError("power cut")
        return [(self.value(*request.args), False) for request in requests]

    def value(self, question: str, choice: str) -> float:
        easy = digest(question) + 0.2 * digest(f"{question}{self.at}") < 0.4 + 0.08 * self.at
        right = easy or question.startswith("sure")
        truth = question.endswith("yes?")
        return -1.0 if ((choice.strip() == "yes") == truth) == right else -2.0

    def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = False) -> list[float]:
        raise AssertionError("only choices are asked for")

    def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:
        raise AssertionError("only choices are asked for")

    @property
    def documents(self) -> set[tuple[int, str]]:
        return set(self.asked)


def digest(text: str) -> float:
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 16**8


def write_tasks(folder: Path) -> None:
    """Write a task for each of SIZES, and a group of two of them."""
    for name, size in SIZES.items():
        rows = [
            {"question": f"{name} {k}, {('no', 'yes')[k % 2]}?", "label": k % 2}
            | ({"passage": k // 4} if name == "shared" else {})
            for k in range(size)
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / f"{name}.yaml").write_text(HELD.replace("FOLDER", str(folder)).replace("NAME", name))
    (folder / "both.yaml").write_text(
        "group: both\ntask: [held, short]\naggregate_metric_list:\n  - {metric: acc, aggregation: mean}\n"
    )


def suite_of(folder: Path, tasks: str, **options: Any) -> Suite:
    return build_suite(parse_tasks(tasks), include_path=folder, progress=False, **options)


def score(suite: Suite, out: Path, wanted: Wanted | None = None, lm: Knowing | None = None, **options: Any) -> Run:
    lm = lm or Knowing()
    about = {"sha256": "aa", "method": "lora", "max_rank": 4}
    identity = run_identity(suite, adapter=about, base={"sha256": "bb"}, dtype="float32", engine="x", wanted=wanted)
    given = {"ranks": RANKS, "progress": False} | options
    run = score_adapter(lambda: (lm, lm), suite, out=out, identity=identity, wanted=wanted, **given)
    assert run is not None
    return run
