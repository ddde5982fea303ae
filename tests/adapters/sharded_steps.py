"""Run by test_training_processes.py in two processes: three steps of a nested adapter whose weights FSDP2 shards."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from aurac_adapters import DyLora, MatryoshkaLora, NestedMethod
from tiny import nested

SHARDED_METHODS: dict[str, NestedMethod] = {
    "matryoshka": MatryoshkaLora(max_rank=8),
    "dylora": DyLora(max_rank=8),
    "dylora-per-row": DyLora(max_rank=8, per_row=True),
}
BATCH = torch.arange(1, 25).view(4, 6)  # (rows, tokens)


def trained(method: NestedMethod, *, index: int = 0, count: int = 1) -> dict[str, torch.Tensor]:
    """Return A and B after three steps of AdamW on this process's share of the rows."""
    adapter = nested(method)
    model: Any = adapter.model.train()
    if count > 1:
        from torch.distributed.fsdp import fully_shard

        for layer in model.base_model.model.model.layers:
            fully_shard(layer)
        fully_shard(model)
    optimizer = torch.optim.AdamW([w for w in model.parameters() if w.requires_grad], lr=1e-3)
    rows = range(len(BATCH))[len(BATCH) // count * index :][: len(BATCH) // count]
    for step in range(3):
        adapter.set_step(step, rows=rows)
        batch = BATCH[rows.start : rows.stop]
        model(batch, labels=batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    weights = {name: w.detach() for name, w in model.named_parameters() if "lora_" in name}
    return {name: w.full_tensor() if count > 1 else w for name, w in weights.items()}


def main(folder: Path) -> None:
    torch.distributed.init_process_group("gloo")
    index, count = torch.distributed.get_rank(), torch.distributed.get_world_size()
    for name, method in SHARDED_METHODS.items():
        weights = trained(method, index=index, count=count)
        if index == 0:
            save_file({key: w.contiguous() for key, w in weights.items()}, folder / f"{name}.safetensors")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
