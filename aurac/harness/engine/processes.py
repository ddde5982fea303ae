"""Several processes that share the documents of a cell; each holds the whole model.

Requests are built as for one process, because lm-eval's few-shot draws depend on the number of processes (7 of 8
prompts differ between 1 and 2), and are divided only here. Every process ends with all answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed

Item = TypeVar("Item")


class FailedElsewhereError(Exception):
    """Another process failed at the work that this one shares with it; the message is that process's reason."""


@dataclass(frozen=True)
class _Failure:
    """What a process that failed gives the others in the place of what they wait for."""

    reason: str


@dataclass(frozen=True)
class Processes:
    """This process among `count`, counted from 0.

    Example:
        >>> Processes(1, 3).share("abcdefg")
        ['b', 'e']
    """

    index: int
    count: int

    def share(self, items: Sequence[Item]) -> list[Item]:
        """Return every count-th item, beginning with this process's."""
        return list(items[self.index :: self.count])

    def gather(self, mine: Item) -> list[Item]:
        """Return what all processes hold, in their order; every process must call this."""
        if self.count == 1:
            return [mine]
        everyone: list[Any] = [mine] * self.count
        torch.distributed.all_gather_object(everyone, mine)
        if failed := [item for item in everyone if isinstance(item, _Failure)]:
            raise FailedElsewhereError(failed[0].reason)
        return everyone

    def collect(self, mine: Sequence[Item]) -> list[Item]:
        """Undo `share`: put the answers of all processes back into the order of the items."""
        shares = self.gather(list(mine))
        total = sum(map(len, shares))
        return [shares[i % self.count][i // self.count] for i in range(total)]


ALONE = Processes(0, 1)


def current_processes() -> Processes:
    """Processes of the initialised `torch.distributed` group; one if there is none.

    Example:
        >>> current_processes()
        Processes(index=0, count=1)
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return ALONE
    return Processes(torch.distributed.get_rank(), torch.distributed.get_world_size())


@contextmanager
def together() -> Iterator[None]:
    """Let all processes succeed or fail at what is inside: if one raises, the others raise where they wait for it.

    Raises:
        FailedElsewhereError: In a process that did not fail itself.
    """
    processes = current_processes()
    try:
        yield
        processes.gather(None)  # so that nobody goes on before all are done
    except FailedElsewhereError:
        raise
    except Exception as error:
        with suppress(FailedElsewhereError):
            processes.gather(_Failure(f"{type(error).__name__}: {error}") if processes.count > 1 else None)
        raise


def start_processes() -> Processes:
    """Join the group that `accelerate launch` or `torchrun` described in the environment; alone where there is none.

    To be called once, before the model is loaded. `torch.accelerator` decides between NCCL and, on CPU, gloo.
    (`accelerate launch --cpu` starts a single process without MPI; `--multi_gpu` starts several, on a CPU too.)
    """
    from accelerate import PartialState

    PartialState(cpu=not torch.accelerator.is_available())
    return current_processes()
