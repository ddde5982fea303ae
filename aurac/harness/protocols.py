"""Which tasks, with how many shots, judged by which metric: the text of `--tasks`, and the published protocols."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from aurac.errors import TaskError, UnknownNameError

_ITEM = re.compile(r"(?P<task>[^@:]+)(?:@(?P<shots>\d+))?(?::(?P<metric>[^:]+)(?::(?P<filter>[^:]+))?)?")


@dataclass(frozen=True)
class TaskRequest:
    """One item of `--tasks`.

    Attributes:
        name: What the user asked for, and what tables call it.
        task: lm-eval's name of the task, group or tag.
        num_fewshot: Number of examples in the prompt; None leaves it to the task.
        metric: The headline metric; None takes the task's own (`aurac.results.curves.headline_metric`).
        filter: lm-eval's filter of the answers; None takes the task's first one.
    """

    name: str
    task: str
    num_fewshot: int | None = None
    metric: str | None = None
    filter: str | None = None

    def __str__(self) -> str:
        """Say the protocol in one line.

        Example:
            >>> print(TaskRequest("arc", "arc_challenge", 25, "acc_norm"))
            arc = arc_challenge, 25-shot, acc_norm
        """
        name = self.name if self.name == self.task else f"{self.name} = {self.task}"
        shots = "shots of the task" if self.num_fewshot is None else f"{self.num_fewshot}-shot"
        metric = self.metric or "metric of the task"
        return ", ".join([name, shots, f"{metric} ({self.filter})" if self.filter else metric])


_OPEN_LLM = (
    TaskRequest("arc", "arc_challenge", 25, "acc_norm"),
    TaskRequest("hellaswag", "hellaswag", 10, "acc_norm"),
    TaskRequest("mmlu", "mmlu", 5, "acc"),
    TaskRequest("winogrande", "winogrande", 5, "acc"),
    TaskRequest("gsm8k", "gsm8k", 8, "exact_match", "strict-match"),
)
PROTOCOLS = {
    "standard": {request.name: request for request in _OPEN_LLM},
    # The MatryoshkaLoRA paper (arXiv 2605.07850) reports acc where the leaderboards report acc_norm.
    "authors": {
        request.name: replace(request, metric="acc") if request.metric == "acc_norm" else request
        for request in _OPEN_LLM
    },
}
"""Protocol -> short name -> what it stands for. Other names are lm-eval's own, with its own shots and metric."""


def parse_tasks(text: str | Sequence[str], *, protocol: str = "standard") -> tuple[TaskRequest, ...]:
    """Read the text of `--tasks`: `task[@shots][:metric[:filter]]`, separated by commas.

    A short name of the protocol brings its shots and metric; what the item says itself takes precedence.

    Args:
        text: For example "arc,hellaswag@0,wikitext:bits_per_byte,gsm8k:exact_match:flexible-extract", or its items.
        protocol: A name in `PROTOCOLS`.

    Raises:
        UnknownNameError: If there is no such protocol.
        TaskError: If an item cannot be read, or one task is asked for twice.

    Example:
        >>> for request in parse_tasks("arc,hellaswag@0:acc"):
        ...     print(request)
        arc = arc_challenge, 25-shot, acc_norm
        hellaswag, 0-shot, acc
    """
    if protocol not in PROTOCOLS:
        raise UnknownNameError("protocol", protocol, PROTOCOLS)
    items = text.split(",") if isinstance(text, str) else text
    requests = tuple(_parse(item.strip(), PROTOCOLS[protocol]) for item in items)
    for number, request in enumerate(requests):
        for other in requests[:number]:
            if request.task == other.task:
                raise TaskError(
                    f"task {request.task!r} is asked for twice, as '{other}' and as '{request}'. Ask once: "
                    "every metric is recorded, and other shots go to another --out."
                )
    return requests


def _parse(item: str, known: dict[str, TaskRequest]) -> TaskRequest:
    match = _ITEM.fullmatch(item)
    if match is None:
        raise TaskError(
            f"cannot read task {item!r}. Write task[@shots][:metric[:filter]], such as arc_challenge@0:acc."
        )
    name = match["task"]
    request = known.get(name, TaskRequest(name, name))
    if match["metric"] is not None:
        request = replace(request, metric=match["metric"], filter=match["filter"])
    return request if match["shots"] is None else replace(request, num_fewshot=int(match["shots"]))
