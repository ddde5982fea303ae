"""A suite: every task built once for all ranks, its prompts drawn once, its documents named by lm-eval's hashes."""

from __future__ import annotations

import copy
import hashlib
import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.registry import AGGREGATION_REGISTRY
from lm_eval.api.task import Task
from lm_eval.evaluator_utils import get_sample_size
from lm_eval.utils import handle_non_serializable, hash_string
from tqdm import tqdm

from aurac.errors import TaskError, UnknownNameError
from aurac.harness.catalogue import is_group, load, open_catalogue
from aurac.harness.chat import PLAIN, Chat
from aurac.harness.generators import FEWSHOT_SEED, evaluation_seeds
from aurac.harness.gold import gold_metrics
from aurac.harness.passages import passages
from aurac.harness.protocols import TaskRequest
from aurac.harness.quiet import building
from aurac.results.curves import headline_metric
from aurac.signature import documents_hash


@dataclass(frozen=True)
class Document:
    """One document of a task: its instances (requests), and what lm-eval calls it in its samples."""

    doc_id: int
    doc_hash: str
    prompt_hash: str
    instances: tuple[Instance, ...] = field(repr=False)


@dataclass(frozen=True)
class Leaf:
    """One lm-eval task with the prompts that every rank gets."""

    name: str
    task: Task = field(repr=False)
    documents: tuple[Document, ...] = field(repr=False)
    cluster: str | None = None
    draws: Mapping[int, Leaf] = field(default_factory=dict, repr=False)
    """Seed of a draw of few-shot examples -> the task with its prompts, where there are several draws."""

    @property
    def instances(self) -> list[Instance]:
        """All requests, in lm-eval's order; those of one draw of examples after those of another."""
        return [instance for leaf in self.draws.values() or (self,) for instance in leaf.task.instances]

    @property
    def n_requests(self) -> int:
        """Number of requests of one cell, repeats included."""
        return sum(instance.repeats or 1 for instance in self.instances)

    @cached_property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """Metric -> name of its aggregation and direction, in the task's order, and ours of the right answer."""
        higher = self.task.higher_is_better()
        own = {
            metric: {"aggregation": aggregation_name(function), "higher_is_better": bool(higher.get(metric, True))}
            for metric, function in self.task.aggregation().items()
        }
        return {**own, **{name: about for name, about in gold_metrics(self.task).items() if name not in own}}

    def part(self, ids: Collection[int]) -> Leaf:
        """Return the task with these documents alone, by lm-eval's numbers; prompts are those of the whole task."""
        task = copy.copy(self.task)
        task._instances = [instance for instance in self.task.instances if instance.doc_id in ids]
        return replace(self, task=task, documents=tuple(d for d in self.documents if d.doc_id in ids))

    def to_record(self) -> dict[str, Any]:
        """Return what `run.json` says about the task."""
        config = self.task.config
        shared = passages(self.name, {d.doc_id: d.instances[0].doc for d in self.documents}, self.cluster)
        return {
            **({} if shared is None else {"clusters": shared}),
            "num_fewshot": config.num_fewshot or 0,
            "version": None if self.task.VERSION is None else str(self.task.VERSION),
            "output_type": str(self.task.OUTPUT_TYPE),
            "dataset": [config.dataset_path, config.dataset_name],
            "n_documents": len(self.documents),
            "docs_hash": documents_hash(f"{d.doc_hash}/{d.prompt_hash}" for d in self.documents),
            "requests_sha256": self._requests_sha256(),
            "metrics": self.metrics,
            "filters": [ensemble.name for ensemble in self.task._filters],
        }

    def _requests_sha256(self) -> str:
        """Hash all that the model is asked, so that changed prompts are seen before they are mixed with old ones."""
        digest = hashlib.sha256()
        for instance in self.instances:
            for part in (instance.request_type, instance.doc_id, *instance.args):
                text = part if isinstance(part, str) else repr(part)
                digest.update(f"{len(text)}:{text}".encode(errors="surrogatepass"))
        return digest.hexdigest()


@dataclass(frozen=True)
class Suite:
    """What is measured: requests with what they resolved to, leaf tasks, groups.

    Attributes:
        requests: As asked, metrics resolved; a tag is replaced by its tasks, since lm-eval has no score for a tag.
        leaves: Name -> task.
        groups: Group -> its leaf tasks and how lm-eval averages each metric, as in `run.json`.
        limit: Documents per task (or a fraction of them); None for all.
        fewshot_seed: Of the draw of examples.
        chat: How prompts are wrapped.
        fewshot_seeds: Of the draws, where there are several; `fewshot_seed` is then not used.
        seconds: What building took: "tasks" (names and data), and "requests" (drawing and wrapping prompts).
    """

    requests: tuple[TaskRequest, ...]
    leaves: Mapping[str, Leaf]
    groups: Mapping[str, Mapping[str, Any]]
    limit: float | None
    fewshot_seed: int
    chat: Chat = PLAIN
    fewshot_seeds: tuple[int, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict, compare=False, repr=False)

    def to_record(self) -> dict[str, Any]:
        """Return the arguments of `RunRecord.extend`, without the ranks."""
        asked = {
            request.name: {"task": request.task, "metric": request.metric, "filter": request.filter}
            for request in self.requests
        }
        tasks = {name: leaf.to_record() for name, leaf in self.leaves.items()}
        return {"asked": asked, "tasks": tasks, "groups": dict(self.groups)}


def aggregation_name(function: Callable[..., Any]) -> str:
    """Return lm-eval's name of an aggregation, or "custom" for a task's own."""
    return next((name for name, known in AGGREGATION_REGISTRY.items() if known is function), "custom")


def build_suite(
    requests: Sequence[TaskRequest],
    *,
    include_path: str | Path | None = None,
    limit: float | None = None,
    fewshot_seed: int = FEWSHOT_SEED,
    fewshot_seeds: Sequence[int] = (),
    confirm_unsafe: bool = False,
    chat: Chat = PLAIN,
    cluster: str | None = None,
    progress: bool = True,
) -> Suite:
    """Build every task once, and draw its prompts as `lm_eval.simple_evaluate` does; needs no model.

    Args:
        requests: What `parse_tasks` returned.
        include_path: Folder of your own lm-eval YAML files.
        limit: Only the first documents of each task: a number from 1, or a fraction below 1.
        fewshot_seed: Of the draw of examples.
        fewshot_seeds: Draw the examples once for each of these seeds instead.
        confirm_unsafe: Whether to build tasks that run code which the model wrote.
        chat: How prompts are wrapped.
        cluster: Field of the documents whose value they share with others, as for `aurac.harness.passages.passages`.
        progress: Whether to show a bar on standard error, where that is a terminal.

    Raises:
        UnknownNameError: If a task, metric or filter does not exist; the message has the near names.
        TaskError: If a task cannot be built: data out of reach, too many shots, code execution, images; or if several
            draws of examples are asked for, and its prompts have none.
    """
    if limit is not None and not (0 < limit < 1 or (limit >= 1 and float(limit).is_integer())):
        raise TaskError(f"limit is {limit:g}. Give a number of documents from 1, or a fraction below 1.")
    limit = limit if limit is None or limit < 1 else int(limit)
    started, drawing = time.perf_counter(), 0.0
    manager = open_catalogue(requests, include_path=include_path)
    resolved: list[TaskRequest] = []
    leaves: dict[str, Leaf] = {}
    groups: dict[str, dict[str, Any]] = {}
    hidden = None if progress else True  # None: only on a terminal, where the bar can be taken away again
    with tqdm(total=len(requests), desc="building tasks", unit="task", disable=hidden, leave=False) as bar:
        for request in requests:
            bar.set_description(f"building {request.name}")
            with evaluation_seeds():
                loaded = load(manager, request.task)
                for name, task in loaded["tasks"].items():
                    bar.set_description(f"building {name}")
                    if name in leaves:
                        raise TaskError(f"task {name!r} is asked for twice, the second time by {request.name!r}.")
                    _prepare(task, name, request, fewshot_seed, confirm_unsafe)
                    begun = time.perf_counter()
                    leaves[name] = _drawn(task, name, limit, chat, cluster, tuple(fewshot_seeds))
                    drawing += time.perf_counter() - begun
            groups |= {name: _group(group) for name, group in loaded["groups"].items()}
            members = [request] if is_group(manager, request.task) and groups[request.task]["metrics"] else None
            resolved += members or [
                request if name == request.task else replace(request, name=name, task=name) for name in loaded["tasks"]
            ]
            bar.update()
    asked = tuple(_resolve(r, leaves, groups) for r in resolved)
    seconds = {"tasks": time.perf_counter() - started - drawing, "requests": drawing}
    return Suite(asked, leaves, groups, limit, fewshot_seed, chat, tuple(fewshot_seeds), seconds)


def _prepare(task: Task, name: str, request: TaskRequest, fewshot_seed: int, confirm_unsafe: bool) -> None:
    """Set shots and seed as `simple_evaluate` does, and refuse what cannot be scored."""
    if getattr(task, "UNSAFE_CODE", False) and not confirm_unsafe:
        raise TaskError(f"task {name!r} runs code that the model wrote. Allow it with --confirm-unsafe.")
    if getattr(task, "MULTIMODAL", False):
        raise TaskError(f"task {name!r} needs images or sound. Only tasks made of text can be scored.")
    own = task.get_config("num_fewshot")
    if request.num_fewshot is not None and own == 0 != request.num_fewshot:
        raise TaskError(
            f"task {name!r} fixes its number of shots at 0, and {request.num_fewshot} were asked for. Ask for it "
            f"without @{request.num_fewshot}."
        )
    task.set_config(key="num_fewshot", value=request.num_fewshot if request.num_fewshot is not None else own or 0)
    task.set_fewshot_seed(seed=fewshot_seed)


def _drawn(task: Task, name: str, limit: float | None, chat: Chat, cluster: str | None, seeds: Sequence[int]) -> Leaf:
    """Build the task; under several seeds once for each, its documents named by the prompts of all draws."""
    if not seeds:
        return _build(task, name, limit, chat, cluster)
    if task.get_config("num_fewshot") == 0:
        raise TaskError(
            f"task {name!r} is asked without examples (0 shots), so seeds of their draw change nothing. Ask for it "
            f"with shots, such as {name}@5, or leave out --fewshot-seeds."
        )
    draws = {}
    for seed in seeds:
        one = copy.copy(task)
        one.set_fewshot_seed(seed=seed)
        with evaluation_seeds():  # a task that shuffles its documents has the same ones in every draw
            draws[seed] = _build(one, name, limit, chat, cluster)
    rows = list(zip(*(leaf.documents for leaf in draws.values()), strict=True))
    if all(len({document.prompt_hash for document in row}) == 1 for row in rows):
        raise TaskError(
            f"task {name!r} has the same examples under the seeds {', '.join(map(str, seeds))}: it does not draw them. "
            "Leave it out, or leave out --fewshot-seeds."
        )
    documents = [replace(row[0], prompt_hash=hash_string("/".join(d.prompt_hash for d in row))) for row in rows]
    return replace(draws[seeds[0]], documents=tuple(documents), draws=draws)


def _build(task: Task, name: str, limit: float | None, chat: Chat, cluster: str | None) -> Leaf:
    """Draw the prompts and hash the documents."""
    try:
        with building():
            task.build_all_requests(limit=get_sample_size(task, limit), rank=0, world_size=1, **chat.options())
    except Exception as exc:  # tasks are other people's code
        shots = task.get_config("num_fewshot")
        raise TaskError(
            f"the prompts of task {name!r} cannot be built with {shots} shots: {type(exc).__name__}: {exc}"
        ) from exc
    by_document: dict[int, list[Instance]] = {}
    for instance in task.instances:
        by_document.setdefault(instance.doc_id, []).append(instance)
    return Leaf(name, task, tuple(_document(number, found) for number, found in by_document.items()), cluster)


def _document(doc_id: int, instances: list[Instance]) -> Document:
    """Hash a document and its prompt exactly as `lm_eval.evaluate` does in its samples."""
    instances.sort(key=lambda instance: instance.idx)
    text = json.dumps(instances[0].doc, indent=2, default=handle_non_serializable, ensure_ascii=False)
    return Document(doc_id, hash_string(text), hash_string(instances[0].arguments[0]), tuple(instances))


def _group(group: Any) -> dict[str, Any]:
    """Return what `run.json` says about a group; without metrics lm-eval does not average it."""
    return {
        "members": [task.task_name for task in group.get_all_tasks()],
        "metrics": {
            aggregate.metric: {"weight_by_size": aggregate.weight_by_size, "filters": aggregate.filter_list}
            for aggregate in group.aggregate_metric_list or ()
        },
        "version": None if group.version == "N/A" else group.version,
    }


def _resolve(request: TaskRequest, leaves: Mapping[str, Leaf], groups: Mapping[str, Mapping[str, Any]]) -> TaskRequest:
    """Fill in shots, metric and filter, and check that the task has what was asked for."""
    if request.task in groups:
        metrics, members = groups[request.task]["metrics"], groups[request.task]["members"]
    else:
        metrics, members = leaves[request.task].metrics, [request.task]
    shots = {leaves[member].task.get_config("num_fewshot") for member in members}
    request = replace(request, num_fewshot=shots.pop() if len(shots) == 1 else request.num_fewshot)
    if any(_has_unnamed_metrics(leaves[member].task) for member in members):
        return request
    metric = request.metric or headline_metric(list(metrics))
    if metric not in metrics:
        raise UnknownNameError("metric", metric, metrics, of=f"of task {request.task!r}")
    filters = list(dict.fromkeys(e.name for member in members for e in leaves[member].task._filters))
    if request.filter is not None and request.filter not in filters:
        raise UnknownNameError("filter", request.filter, filters, of=f"of task {request.task!r}")
    return replace(request, metric=metric, filter=request.filter)


def _has_unnamed_metrics(task: Task) -> bool:
    """Tell whether a metric is a function, which may return values under names that are known only afterwards."""
    return any(callable(metric.get("metric")) for metric in task.get_config("metric_list") or ())
