"""An adapter folder as engines take it: put into a model in memory, or written as slices that other programs load."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aurac_adapters.folder.retrained import RankedFolder
    from aurac_adapters.layer.nested import NestedAdapter


class FolderSource:
    """What the harness knows of an adapter folder before an engine has opened it (a `RankedSource`).

    Args:
        folder: The folder, read.
        inference: The inference rule, perhaps with a gain; None for the adapter's own.
    """

    def __init__(self, folder: RankedFolder, inference: str | None) -> None:
        """Keep both."""
        self._folder, self._given = folder, inference

    @property
    def max_rank(self) -> int:
        """R."""
        return self._folder.method.max_rank

    @property
    def sha256(self) -> str:
        """One hash over the weights."""
        return self._folder.sha256

    @property
    def inference(self) -> str:
        """The rule that is scored."""
        return self._given or self._folder.inference

    @property
    def base_model(self) -> str | None:
        """Name or path of the base model, as the adapter has it."""
        return self._folder.base_model

    def resize(self, model: Any, tokenizer: Any) -> None:
        """Give the base model the embedding rows that the adapter was trained with, and say so."""
        from aurac.harness.tokenizer import fit_embedding

        if (resized := fit_embedding(model, tokenizer, self._folder.path)) is not None:
            print(resized, file=sys.stderr)

    def load(self, model: Any, *, merge: bool) -> tuple[Any, Any]:
        """Put the adapter into the model; ranks are merged where asked for, and where that is the same function."""
        from aurac_adapters import load_ranked
        from aurac_adapters.layer.merging import obstacle
        from aurac_adapters.layer.nested import NestedAdapter

        nested = load_ranked(model, self._folder, inference=self._given)
        if merge and isinstance(nested, NestedAdapter) and obstacle(nested) is None:
            return nested.model, merged_if_it_fits(nested)
        return nested.model, nested

    def write_slice(self, rank: int, out: Path) -> Path:
        """Write one rank as a plain PEFT folder; of a retrained grid, the adapter that was trained at that rank."""
        from aurac_adapters import export_slice
        from aurac_adapters.folder.retrained import RetrainedFolder

        if isinstance(self._folder, RetrainedFolder):
            export_slice(self._folder.members[rank].path, rank, out)
        else:
            export_slice(self._folder.path, rank, out, inference=self._given)
        return out


def merged_if_it_fits(nested: NestedAdapter) -> Any:
    """Return the adapter merged rank by rank, or as it is where that is another function or memory is lacking."""
    from aurac.harness.engine.batches import is_out_of_memory
    from aurac_adapters.layer.merging import MergedAdapter, differs

    try:
        merged = MergedAdapter(nested)
        if (why := differs(merged)) is None:
            return merged
        print(f"ranks are not merged: {why}", file=sys.stderr)
        return nested
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        print("no memory for a second copy of the adapted weights: ranks are not merged", file=sys.stderr)
        return nested
