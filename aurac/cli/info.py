"""Say what an adapter folder is: method, ranks, scaling, base model, size, hashes, and what it was scored on.

Examples:
  aurac info runs/matryoshka
  aurac info my-adapter --format json
  aurac info runs/matryoshka --format json > facts.json

Only the configuration, the sidecar, the weights and the run record in ADAPTER_DIR/aurac-run are read; no model is.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from aurac.errors import AuracError

if TYPE_CHECKING:
    from aurac_adapters import AdapterFacts

_SHOWN = 8
"""Ranks of which the diagonal is printed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("adapter", metavar="ADAPTER_DIR", help="a PEFT LoRA folder, made by this project or not")
    parser.add_argument("--format", choices=("terminal", "json"), default="terminal", help="default: terminal")


def run(args: argparse.Namespace) -> int:
    """Print the facts."""
    from aurac.report.width import fold_text
    from aurac_adapters import read_facts

    facts = read_facts(args.adapter)
    record = read_record(facts)
    if args.format == "json":
        print(json.dumps({**facts.to_dict(), "record": record}, indent=2))
    else:
        print(fold_text(render(facts, record)), end="")
    return 0


def read_record(facts: AdapterFacts) -> dict[str, Any] | None:
    """Return what the run record in the adapter's folder says, as JSON values; None if there is none."""
    from aurac import compute, load
    from aurac.results.files import NESTED

    folder = facts.path / NESTED
    if not folder.is_dir():
        return None
    try:
        found = load(folder)
        scores = {task: compute(curve) for task, curve in found.curves.items()}
    except AuracError as error:  # the adapter is what it is, whatever became of its record
        return {"path": str(folder), "problems": [str(error)], "scores": {}}
    problems = [f"{task}: {problem}" for task, problem in found.problems.items()]
    if found.record["identity"].get("adapter", {}).get("sha256") != facts.sha256:
        problems.append("the record is of other weights than the folder holds now (sha256 differs)")
    return {
        "path": str(folder),
        "problems": problems,
        "scores": {task: {**score.to_dict(), "bounded": score.curve.bounded} for task, score in scores.items()},
    }


def render(facts: AdapterFacts, record: dict[str, Any] | None) -> str:
    """Return one line a fact, for a terminal."""
    rows = [*adapter_rows(facts), *record_rows(record)]
    width = max(len(name) for name, _ in rows)
    return "".join([f"{facts.path}\n", *(f"  {name:{width}}  {value}\n" for name, value in rows)])


def adapter_rows(facts: AdapterFacts) -> list[tuple[str, str]]:
    """Return name and value of every fact of the adapter."""
    from aurac_adapters.methods.inference import find_rule

    method, config = facts.method, facts.config
    targets = ", ".join(sorted({name.rpartition(".")[2] for name in facts.layers}))
    revision = f" (revision {config['revision']})" if config.get("revision") else ""
    return [
        (
            "method",
            method.description if facts.has_sidecar else "plain LoRA (no sidecar: whatever it was, it is read as LoRA)",
        ),
        ("full rank", str(method.max_rank)),
        ("scaling", f"rule {method.scaling}, gain {method.gain:g} (lora_alpha {config['lora_alpha']:g})"),
        ("P in training", diagonal(facts)),
        ("inference rule", f"{facts.inference} ({find_rule(facts.inference).words})"),
        ("base model", f"{config.get('base_model_name_or_path') or 'not named'}{revision}"),
        ("target modules", f"{targets} ({len(facts.layers)} layers)"),
        ("parameters", f"{facts.parameters:,} ({facts.weights_bytes:,} bytes, {', '.join(facts.dtypes)})"),
        ("sha256", facts.sha256),
        ("made with", ", ".join(f"{name} {version}" for name, version in facts.versions.items()) or "not known"),
        *(("note", note) for note in facts.notes),
    ]


def diagonal(facts: AdapterFacts) -> str:
    """Return the diagonal at a few of the train ranks, the first and the last among them."""
    if (p := facts.training_diagonal) is None:
        return "not trained"
    ranks = list(facts.method.train_ranks)
    if len(ranks) > _SHOWN:
        ranks = [*ranks[: _SHOWN - 1], ranks[-1]]
    return "  ".join(f"p_{rank} = {p[rank - 1]:.4g}" for rank in ranks)


def record_rows(record: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Return name and value of every task that was scored, and what is wrong with the record."""
    if record is None:
        return [("scored on", "nothing yet")]
    rows = [("scored on", scored(task, score)) for task, score in record["scores"].items()]
    return [*rows, *(("record", problem) for problem in record["problems"])] or [("scored on", "nothing yet")]


def scored(task: str, score: dict[str, Any]) -> str:
    """Return metric, ranks and AURAC of one task; what lies in [0, 1] in points."""
    accuracies = score["accuracies"]
    unit = 100 if score["bounded"] else 1
    error = "" if score["stderr"] is None else f" ± {unit * score['stderr']:.2f}" if score["stderr"] > 0 else " ± ?"
    ranks = ", ".join(accuracies)
    return f"{task}: AURAC {unit * score['value']:.2f}{error} ({score['metric']}, ranks {ranks})"
