"""What `lm_eval --log_samples --output_path` leaves on disk, read and checked: `results_*.json`, `samples_*.jsonl`."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from aurac.errors import RecordError
from aurac.harness.exchange.lm_eval_names import below, check_groups, samples_name

_RANK = re.compile(r"(?:rank|r)[-_]?(\d+)", re.IGNORECASE)
_PATTERNS = ("results_*.json", "*_????-??-??T*.json")
"""Names of results files: in a folder of --output_path, and beside an --output_path that ends in .json."""
_LOG_SAMPLES = "Run lm_eval again with --log_samples and --output_path."
_PARTS = {"results": dict, "configs": dict, "versions": dict, "n-shot": dict, "config": dict}
_SAMPLE = {"doc_id": int, "doc_hash": str, "prompt_hash": str, "filter": str, "metrics": list}


@dataclass(frozen=True, eq=False)
class ResultsFile:
    """One `results_*.json`: one call of lm_eval.

    Attributes:
        rank: Rank of the adapter that was evaluated.
        path: The file.
        content: As read; `results`, `configs`, `versions`, `n-shot` and `config` are dictionaries.
    """

    rank: int
    path: Path
    content: Mapping[str, Any]

    @property
    def tasks(self) -> list[str]:
        """Leaf tasks, in lm-eval's order."""
        return [name for name in self.content["results"] if name in self.content["configs"]]

    @property
    def groups(self) -> Mapping[str, Mapping[str, Any]]:
        """Groups that lm-eval averaged -> their metrics."""
        return self.content.get("groups") or {}

    def below(self, group: str) -> list[str]:
        """Return the tasks and groups inside a group."""
        return below(group, self.content.get("group_subtasks", {}), self.content["configs"])

    def members(self, group: str) -> list[str]:
        """Return the leaf tasks of a group."""
        return [name for name in self.below(group) if name in self.content["configs"]]

    def samples(self, task: str, *, with_requests: bool = False) -> list[dict[str, Any]]:
        """Read the documents of a task, sorted by filter and number; their texts are not kept.

        Args:
            task: A leaf task.
            with_requests: Keep `arguments`, what the model was asked, and the document too; for long prompts that is
                gigabytes.

        Raises:
            RecordError: If the file is missing, incomplete or damaged; the message names file, line and rank.
        """
        date = self.path.stem.rpartition("_")[2]
        file = self.path.with_name(samples_name(task, date, advice="Leave it out with --tasks."))
        if not file.is_file():
            raise RecordError(
                f"rank {self.rank}: there is no {file}, so the scores of the documents are not known. {_LOG_SAMPLES}"
            )
        found: dict[tuple[str, int], dict[str, Any]] = {}
        more = ("arguments", "doc") if with_requests else ()
        for line, whole in self._lines(file):
            sample = {key: whole[key] for key in (*_SAMPLE, *whole["metrics"], *more) if key in whole}
            key = (sample["filter"], sample["doc_id"])
            if key in found:
                raise RecordError(
                    f"{file}, line {line} (rank {self.rank}): document {key[1]} occurs twice. Two calls of lm_eval "
                    "wrote this file; run it again into an empty folder."
                )
            found[key] = sample
        self._check_complete(file, task, found)
        order = list(dict.fromkeys(name for name, _ in found))
        return sorted(found.values(), key=lambda sample: (order.index(sample["filter"]), sample["doc_id"]))

    def _lines(self, file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
        with file.open(encoding="utf-8") as stream:
            for number, text in enumerate(stream, start=1):
                try:
                    sample = json.loads(text)
                    self._check_hashes(file, number, sample)
                    for name, kind in _SAMPLE.items():
                        if not isinstance(sample[name], kind):
                            raise ValueError(f"{name} is {sample[name]!r}")
                    if missing := [metric for metric in sample["metrics"] if metric not in sample]:
                        raise ValueError(f"{missing[0]} has no value")
                except RecordError:
                    raise
                except (ValueError, KeyError, TypeError, RecursionError) as exc:
                    raise RecordError(
                        f"{file}, line {number} (rank {self.rank}) is no sample of lm-eval: {type(exc).__name__} "
                        f"{exc}. {_LOG_SAMPLES}"
                    ) from exc
                yield number, sample

    def _check_hashes(self, file: Path, number: int, sample: Any) -> None:
        if isinstance(sample, dict) and (missing := [key for key in ("doc_hash", "prompt_hash") if key not in sample]):
            raise RecordError(
                f"{file}, line {number} (rank {self.rank}) has no {' and no '.join(missing)}, by which documents are "
                "matched between ranks and runs; old versions of lm-eval wrote none. Run lm_eval "
                f"{version('lm_eval')} with --log_samples and --output_path."
            )

    def _check_complete(self, file: Path, task: str, found: Mapping[tuple[str, int], Any]) -> None:
        """Raise unless every filter has all documents of the results."""
        wanted = self.content.get("n-samples", {}).get(task, {}).get("effective")
        counts = {name: sum(key[0] == name for key in found) for name, _ in found}
        if not found or len(set(counts.values())) > 1 or (wanted is not None and {wanted} != set(counts.values())):
            there = ", ".join(f"{n} under {name}" for name, n in counts.items()) or "none"
            asked = "" if wanted is None else f" of {wanted}"
            raise RecordError(
                f"{file} (rank {self.rank}) is incomplete: {there}{asked} documents of {task}. {_LOG_SAMPLES}"
            )


def rank_folders(parent: Path) -> dict[int, Path]:
    """Return rank -> folder for the children that are called rank-4, rank4 or r4; warns of other results beside them.

    Raises:
        RecordError: If there is none, or two have the same rank.
    """
    if parent.is_file():
        raise RecordError(f"{parent} is a file. Give a folder with one child a rank, such as rank-4.")
    if not parent.is_dir():
        raise RecordError(f"no such folder: {parent}. Give a folder with one child a rank, such as rank-4.")
    found: dict[int, Path] = {}
    for child in sorted(parent.iterdir()):
        match = _RANK.fullmatch(child.name) if child.is_dir() else None
        if match is None or int(match[1]) == 0:
            continue
        if (rank := int(match[1])) in found:
            raise RecordError(f"{parent} has two folders of rank {rank}: {found[rank].name} and {child.name}.")
        found[rank] = child
    others = [child for child in _with_results(parent) if child not in found.values()]
    if not found:
        held = f", but results in {_listed(others)}" if others else ""
        raise RecordError(
            f"{parent} has no folder called rank-4 or r4{held}. Put the output of lm_eval at each rank into one, or "
            "name them with --rank 4=DIR."
        )
    if others:
        warnings.warn(
            f"not imported: {_listed(others)} in {parent}, which {'hold' if len(others) > 1 else 'holds'} results of "
            "lm_eval and no rank in the name. To import them too, name every folder with its rank: --rank R=DIR "
            "(again for each).",
            stacklevel=2,
        )
    return dict(sorted(found.items()))


def _with_results(parent: Path) -> list[Path]:
    """Return what in a folder is a results file of lm-eval, or a folder that holds one."""
    loose = {file for pattern in _PATTERNS for file in parent.glob(pattern) if file.is_file()}
    holding = {
        child
        for child in parent.iterdir()
        if child.is_dir() and any(next(child.rglob(pattern), None) is not None for pattern in _PATTERNS)
    }
    return sorted(loose | holding)


def _listed(paths: Sequence[Path]) -> str:
    more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
    return ", ".join(path.name for path in paths[:5]) + more


def read_folder(rank: int, folder: Path) -> dict[str, ResultsFile]:
    """Return task or group -> the results file that has it, for all results files below a folder.

    Raises:
        RecordError: If there is none, one is damaged, or two have the same task.
    """
    if not folder.is_dir():
        what = f"{folder} is a file" if folder.exists() else f"there is no folder {folder}"
        raise RecordError(f"rank {rank}: {what}. Give a folder that lm_eval wrote with --output_path.")
    files = sorted({file for pattern in _PATTERNS for file in folder.rglob(pattern)})
    if not files:
        raise RecordError(f"rank {rank}: {folder} holds no results_*.json. Give a folder that lm_eval wrote.")
    found: dict[str, ResultsFile] = {}
    for file in (ResultsFile(rank, path, _read(rank, path)) for path in files):
        for name in (*file.tasks, *file.groups):
            if name in found:
                raise RecordError(
                    f"rank {rank}: {name} is in {found[name].path} and in {file.path}. Leave one call of lm_eval in "
                    "the folder."
                )
            found[name] = file
    return found


def _read(rank: int, path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as exc:
        raise RecordError(f"rank {rank}: {path} is damaged, not JSON: {exc}. Run lm_eval again.") from exc
    wrong = [
        name
        for name, kind in _PARTS.items()
        if not isinstance(content, dict) or not isinstance(content.get(name), kind)
    ]
    if wrong:
        raise RecordError(
            f"rank {rank}: {path} is no results file of lm-eval 0.4: {', '.join(wrong)} missing. Run lm_eval again."
        )
    check_groups(rank, path, content)
    return dict(content)
