"""A model card for the Hugging Face hub: the curve, AURAC with its error, the rank to serve, how to load it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aurac.errors import AuracError
from aurac.report.comparison import Comparison, compare
from aurac.report.formats.markdown import escape, render_table
from aurac.report.numbers import rounded
from aurac.report.pages.eval_results import hub_dataset
from aurac.report.recommendation import Recommendation, recommend
from aurac.report.tables.recommendation import cost_tables, tables
from aurac.results import Profile, Run

MARK = "<!-- Written by `aurac card`; text outside this file's front matter is replaced when it runs again. -->"
"""What tells our cards from others."""
PLOT = "curves.png"
"""File beside the card."""
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


@dataclass(frozen=True)
class Subject:
    """What the card is about.

    Attributes:
        name: Name of the model.
        repo_id: Repository on the hub; None where it is not there.
        base: Base model as the adapter names it.
        method: Name of the method.
        max_rank: Rank of the adapter.
        note: How sub-ranks are scaled, one sentence.
    """

    name: str
    repo_id: str | None
    base: str | None
    method: str
    max_rank: int
    note: str

    @property
    def hub_base(self) -> str | None:
        """The base model if it is one of the hub; a folder of this machine says nothing to others."""
        if self.base is None or Path(self.base).exists() or _HUB_ID.fullmatch(self.base) is None:
            return None
        return self.base


def model_card(
    subject: Subject,
    run: Run,
    *,
    margin: float = 0.01,
    alpha: float = 0.05,
    size: tuple[int, int] | None = None,
    profile: Profile | None = None,
    kept: dict[str, Any] | None = None,
) -> str:
    """Return the card as Markdown with front matter.

    Args:
        subject: The adapter.
        run: Its record.
        margin: Largest acceptable loss of the recommended rank, a fraction.
        alpha: Chance to recommend an inadequate rank, at most.
        size: Parameters and bytes of the adapter at full rank.
        profile: Times of each rank.
        kept: Front matter of an older card; what the card does not set itself stays, such as the license.
    """
    comparison = compare([run])
    parameters, n_bytes = size or (None, None)
    made: Recommendation | str
    try:
        made = recommend(run, margin=margin, alpha=alpha, parameters=parameters, n_bytes=n_bytes, profile=profile)
    except AuracError as error:
        made = str(error)
    parts = [
        f"# {escape(subject.name)}",
        _introduction(subject, run),
        "## Accuracy at each rank",
        f"![rank-accuracy curves]({PLOT})",
        comparison.to_markdown(),
        "## Which rank to serve",
        *_which_rank(made),
        "## How to load it",
        _loading(subject, made.rank if isinstance(made, Recommendation) else subject.max_rank),
    ]
    body = "\n\n".join(part.strip() for part in parts)
    return f"---\n{_front_matter(subject, comparison, made, kept or {})}\n---\n{MARK}\n\n{body}\n"


def _front_matter(subject: Subject, comparison: Comparison, made: Recommendation | str, kept: dict[str, Any]) -> str:
    from huggingface_hub import ModelCardData

    ours = {"base_model", "library_name", "tags", "model-index", "model_name", "eval_results"}
    # PEFT's own card has a tag with the base model, which may be a folder of this machine.
    old_tags = [tag for tag in kept.get("tags") or [] if not str(tag).startswith("base_model:")]
    base_tags = [f"base_model:adapter:{subject.hub_base}"] if subject.hub_base else []
    data = ModelCardData(
        base_model=subject.hub_base,
        library_name="peft",
        tags=list(dict.fromkeys([*old_tags, "lora", "aurac", subject.method, *base_tags])),
        model_name=subject.name,
        eval_results=_eval_results(comparison, made),
        **{key: value for key, value in kept.items() if key not in ours},
    )
    text: str = data.to_yaml()
    return text.strip()


def _eval_results(comparison: Comparison, made: Recommendation | str) -> list[Any]:
    """Return AURAC, and the score at full rank and at the recommended one, of every task."""
    from huggingface_hub import EvalResult

    (run,) = comparison.runs
    results = []
    for task in comparison.tasks:
        score = comparison.results[run.name, task].score
        assert score is not None
        curve, metric = score.curve, score.curve.metric or "accuracy"
        about = {"task_type": "text-generation", **_dataset(run, task)}
        asked = {} if curve.part is None else {"documents": str(curve.part)}
        args = {"stderr": rounded(score.stderr), "signature": str(score.signature), **asked}
        name = f"{task}: AURAC of {metric}"
        results.append(
            EvalResult(
                metric_type="aurac", metric_name=name, metric_value=rounded(score.value), metric_args=args, **about
            )
        )
        ranks = {curve.max_rank, made.rank} if isinstance(made, Recommendation) else {curve.max_rank}
        for rank in sorted(ranks & set(curve.ranks), reverse=True):
            value, name = curve.accuracy_at(rank), f"{task}: {metric} at rank {rank}"
            results.append(
                EvalResult(
                    metric_type=metric,
                    metric_name=name,
                    metric_value=rounded(value),
                    metric_args={"rank": rank, **asked},
                    **about,
                )
            )
    return results


def _dataset(run: Run, task: str) -> dict[str, Any]:
    """Return the hub's data set of a task; the task itself where it has none, such as a group or files of one's own."""
    leaf = run.record.get("asked", {}).get(task, {}).get("task", task)
    path, config = hub_dataset(run, task) or (leaf, leaf)
    return {"dataset_type": path, "dataset_name": task, "dataset_config": config}


def _introduction(subject: Subject, run: Run) -> str:
    versions = run.record.get("versions", {})
    base = f"`{subject.hub_base}`" if subject.hub_base else "a model that is not on the hub"
    return (
        f"A LoRA adapter of rank {subject.max_rank} for {base}, to be used at any rank from 1 to {subject.max_rank}: "
        f"the first r rows of A and columns of B are an adapter of rank r. Method: {escape(subject.note)}.\n\n"
        f"Measured with aurac {escape(str(versions.get('aurac', '?')))} and lm-eval "
        f"{escape(str(versions.get('lm_eval', '?')))}. AURAC is the area under the rank-accuracy curve "
        "(MatryoshkaLoRA, arXiv 2605.07850), divided by the width of the axis."
    )


def _which_rank(made: Recommendation | str) -> list[str]:
    if isinstance(made, str):
        return [f"No rank can be recommended: {escape(made)}"]
    return [render_table(table) for table in (tables(made)[0], *cost_tables(made))]


def _loading(subject: Subject, rank: int) -> str:
    base, place = json.dumps(subject.hub_base or "BASE_MODEL"), json.dumps(subject.repo_id or subject.name)
    at = rank if rank < subject.max_rank else max(1, subject.max_rank // 2)
    fetch = "from huggingface_hub import snapshot_download\n" if subject.repo_id else ""
    folder = f"snapshot_download({place})" if subject.repo_id else place
    return f"""At full rank, with PEFT alone:

```python
from peft import PeftModel
from transformers import AutoModelForCausalLM

base = AutoModelForCausalLM.from_pretrained({base})
model = PeftModel.from_pretrained(base, {place})
```

At another rank, or as a plain PEFT folder of that rank:

```python
from aurac_adapters import at_rank, export_slice, load_adapter
{fetch}from transformers import AutoModelForCausalLM

base = AutoModelForCausalLM.from_pretrained({base})
folder = {folder}
nested = load_adapter(base, folder)
with at_rank(nested, {at}):
    nested.model.generate(...)
export_slice(folder, {at}, "rank-{at}")
```"""
