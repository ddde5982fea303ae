"""How likely the right answer is: a metric of our own beside lm-eval's, from log-likelihoods that are there anyway.

Accuracy says whether the right choice came first, its log-likelihood how likely it was, which tells adapters apart with
fewer documents. In nats; by byte of the answer's text after its delimiter; lower is better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

from lm_eval.api.task import ConfigurableTask, Task


class Asked(Protocol):
    """A document with its requests, which have been answered."""

    @property
    def instances(self) -> Sequence[Any]:
        """The requests, in lm-eval's order."""


D = TypeVar("D", bound=Asked)
NLL, PER_BYTE = "gold_nll", "gold_nll_per_byte"
_TYPES = ("multiple_choice", "loglikelihood")


def gold_metrics(task: Task) -> dict[str, dict[str, Any]]:
    """Return name -> aggregation and direction of our metrics of a task; none for tasks that write texts."""
    if not isinstance(task, ConfigurableTask) or task.OUTPUT_TYPE not in _TYPES:
        return {}
    return {name: {"aggregation": "mean", "higher_is_better": False} for name in (NLL, PER_BYTE)}


def gold_values(task: Task, documents: Sequence[D]) -> Mapping[tuple[str, str], list[tuple[D, float]]]:
    """Return (metric, filter) -> document and value, of a task whose answers are filtered.

    Empty where a task does not say of every document which answer is right, or changes the answers by filters.
    """
    names = list(task.instances[0].filtered_resps)
    if not gold_metrics(task) or not names:
        return {}
    try:
        found = [_nll_and_bytes(task, document, names[0]) for document in documents]
    except (TypeError, ValueError, LookupError):  # the task's own code has other targets
        return {}
    return {
        (NLL, names[0]): [(document, nll) for document, (nll, _) in zip(documents, found, strict=True)],
        (PER_BYTE, names[0]): [(document, nll / size) for document, (nll, size) in zip(documents, found, strict=True)],
    }


def _nll_and_bytes(task: ConfigurableTask, document: Asked, filter_name: str) -> tuple[float, int]:
    """Return nats and bytes of the right answer; of the likeliest one, where several are right."""
    right = _right(task, document.instances[0].doc) if task.OUTPUT_TYPE == "multiple_choice" else [0]
    answers = {number: document.instances[number].filtered_resps[filter_name] for number in right}
    best = max(answers, key=lambda number: float(answers[number][0]))
    text = document.instances[best].args[1].removeprefix(task.config.target_delimiter or "")
    return -float(answers[best][0]), max(1, len(text.encode()))


def _right(task: ConfigurableTask, doc: Any) -> list[int]:
    """Return the numbers of the right choices, as lm-eval finds them."""
    choices = task.doc_to_choice(doc)
    gold = task.doc_to_text(doc) if task.multiple_input else task.doc_to_target(doc)
    listed = gold if isinstance(gold, list) else [gold]
    numbers = [choices.index(each) if isinstance(each, str) else int(each) for each in listed]
    if not numbers or not all(0 <= number < len(choices) for number in numbers):
        raise ValueError(f"no choice has the number {gold!r}")
    return numbers
