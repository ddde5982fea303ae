"""Ranks that are loaded into a running server for a scoring, and taken away after it (vLLM's runtime LoRA API)."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp

from aurac.harness.opening import RankedSource
from aurac.harness.server.client import Client, ServerError
from aurac.harness.server.names import RANK, read_models


class LoadedRanks:
    """The ranks of one adapter in a server. Names hold a hash of weights and inference rule, so they are no one else's.

    Args:
        client: Calls the server.
        adapter: Writes the slices.
        folder: Where they are written; the server must be able to read it. None for the system's temporary folder.
    """

    def __init__(self, client: Client, adapter: RankedSource, folder: Path | None) -> None:
        """Load nothing yet."""
        self._client, self._adapter = client, adapter
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self._folder = Path(mkdtemp(prefix=".slices-", dir=folder)).resolve()
        digest = hashlib.sha256(f"{adapter.sha256} {adapter.inference}".encode()).hexdigest()[:12]
        self.pattern = f"aurac-{digest}-r{RANK}"
        self._mine: list[str] = []

    def load(self, ranks: Sequence[int]) -> None:
        """Load ranks; one that is there already under this name is used, and left there.

        Raises:
            ServerError: If the server does not do that.
        """
        there = read_models(self._client)
        for rank in ranks:
            name = self.pattern.replace(RANK, str(rank))
            if name in there:
                continue
            path = self._adapter.write_slice(rank, self._folder / f"rank-{rank}")
            against = self._client.command("/load_lora_adapter", {"lora_name": name, "lora_path": str(path)})
            if against is not None:
                raise ServerError(
                    f"the server does not load rank {rank}: {against}. Start vLLM with --enable-lora, --max-lora-rank "
                    f"{max(ranks)} or more and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, where it can read this disk."
                )
            self._mine.append(name)

    def unload(self) -> None:
        """Take away what was loaded here, and its files; says so where the server does not do it."""
        while self._mine:
            name = self._mine.pop()
            if (against := self._client.command("/unload_lora_adapter", {"lora_name": name})) is not None:
                print(f"the server keeps {name}: {against}", file=sys.stderr)
        shutil.rmtree(self._folder, ignore_errors=True)
