"""The job graph of a benchmark: trainings, rotations and scorings, and what each of them needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aurac.errors import OptionError, RecordError
from aurac.workflows.bench.kinds import Adapter
from aurac.workflows.bench.plan import Scoring, is_trained, trainings
from aurac.workflows.bench.recipe import score_options

if TYPE_CHECKING:
    from aurac_adapters.training.trainer import TrainingConfig


@dataclass(frozen=True)
class Job:
    """One thing to do.

    Attributes:
        verb: What is done: "trained", "rotated" or "scored".
        label: What progress lines call it.
        key: Folder that it makes.
        argument: What its function is given.
        needs: Folders that have to be made before.
    """

    verb: str
    label: str
    key: Path
    argument: Any = field(compare=False)
    needs: tuple[Path, ...] = ()

    def do(self) -> None:
        """Do it; what is done already is left as it is, what was interrupted goes on."""
        _KINDS[self.verb][0](self.argument)

    def is_done(self) -> bool:
        """Tell whether its folder holds the whole result."""
        return _KINDS[self.verb][1](self.argument)


@dataclass(frozen=True)
class Shard:
    """Part `index` of `count`, from 1, of a list of jobs that is the same for everybody."""

    index: int
    count: int

    def of(self, jobs: Sequence[Job]) -> list[Job]:
        """Return every count-th chain, so that whatever a job needs is in its own part.

        Example:
            >>> train, score, other = Job("trained", "", Path("a"), None), Job("scored", "", Path("b"), None,
            ...     (Path("a"),)), Job("trained", "", Path("c"), None)
            >>> [job.key.name for job in Shard(1, 2).of([train, other, score])]
            ['a', 'b']
        """
        return [job for chain in chains(jobs)[self.index - 1 :: self.count] for job in chain]


def read_shard(text: str) -> Shard:
    """Return the shard that "2/8" names.

    Raises:
        OptionError: If it is no such text, or outside 1/n .. n/n.
    """
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
        raise OptionError(f"--shard {text}: give I/N, part I of N, with I from 1 to N, such as 2/8.")
    return Shard(int(index), int(count))


def jobs_of(scorings: Sequence[Scoring]) -> list[Job]:
    """Return all jobs for these scorings, each once, done or not: trainings first, then rotations, then scorings."""
    rotated = {s.adapter.folder: s.adapter for s in scorings if s.adapter.rotate_from}
    jobs = [_training_job(config) for config in trainings(scorings)]
    jobs += [Job("rotated", adapter.label, folder, adapter, _trained(adapter)) for folder, adapter in rotated.items()]
    for scoring in {scoring.out: scoring for scoring in scorings}.values():
        adapter = scoring.adapter
        needs = (adapter.folder,) if adapter.rotate_from else _trained(adapter)
        jobs.append(Job("scored", scoring.label, scoring.out, scoring, needs))
    return jobs


def chains(jobs: Iterable[Job]) -> list[list[Job]]:
    """Return the jobs in groups that need nothing of each other, in the order of their first jobs."""
    group: dict[Path, list[Job]] = {}
    for job in jobs:
        before = {id(chain): chain for need in job.needs if (chain := group.get(need)) is not None}.values()
        mine = [*(member for chain in before for member in chain), job]
        group |= {member.key: mine for member in mine}
    return list({id(chain): chain for chain in group.values()}.values())


def _trained(adapter: Adapter) -> tuple[Path, ...]:
    return tuple(config.out for config in adapter.trainings)


def _training_job(config: TrainingConfig) -> Job:
    parts = config.out.parts[-4:] if config.out.name.startswith("rank-") else config.out.parts[-3:]
    label = " ".join(part.replace("seed-", "seed ").replace("rank-", "rank ") for part in parts)
    return Job("trained", label, config.out, config, () if config.start is None else (config.start,))


def _train(config: TrainingConfig) -> None:
    from aurac_adapters.training.trainer import train

    if not is_trained(config):
        train(config)


def _rotate(adapter: Adapter) -> None:
    from aurac_adapters import svd_rotate

    assert adapter.rotate_from is not None
    if not adapter.folder.exists():
        svd_rotate(adapter.rotate_from, adapter.folder, **adapter.rotation)


def _score(scoring: Scoring) -> None:
    from aurac.workflows.sweep import score_folder

    planned: dict[str, Any] = {"tasks": scoring.tasks, "base": scoring.base, "inference": scoring.inference}
    planned |= {"ranks": scoring.ranks, "budgets": scoring.budgets}
    options = score_options(scoring.options, out=scoring.out, **planned)
    record = score_folder(scoring.adapter.folder, options)
    assert record is not None
    if problems := [*(str(cell.get("error")) for cell in record.failures), *record.problems.values()]:
        raise RecordError(problems[0])


_KINDS: dict[str, tuple[Callable[[Any], None], Callable[[Any], bool]]] = {
    "trained": (_train, is_trained),
    "rotated": (_rotate, lambda adapter: adapter.folder.exists()),
    "scored": (_score, Scoring.is_done),
}
