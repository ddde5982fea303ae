"""Several processes that share the documents of a cell; each holds the whole model.

Requests are built as for one process, because lm-eval's few-shot draws depend on the number of processes (7 of 8
prompts differ between 1 and 2), and are divided only here. Every process ends with all answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed

Item = TypeVar("Item")


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
        everyone: list[Item] = [mine] * self.count
        torch.distributed.all_gather_object(everyone, mine)
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


def start_processes() -> Processes:
    """Join the group that `accelerate launch` or `torchrun` described in the environment; alone where there is none.

    To be called once, before the model is loaded. `torch.accelerator` decides between NCCL and, on CPU, gloo.
    (`accelerate launch --cpu` starts a single process without MPI; `--multi_gpu` starts several, on a CPU too.)
    """
    from accelerate import PartialState

    PartialState(cpu=not torch.accelerator.is_available())
    return current_processes()
