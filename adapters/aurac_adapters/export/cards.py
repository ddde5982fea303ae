"""Model cards: where a slice or a merged model comes from, and how it is loaded."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData

from aurac_adapters.folder.budgets import Budget
from aurac_adapters.folder.folder import AdapterFolder
from aurac_adapters.folder.sidecar import WEIGHTS, file_sha256
from aurac_adapters.methods.method import NestedMethod

_SLICE = """\
# {what} of {source}

A plain LoRA adapter of rank {r}{padding}, for PEFT and for servers that read PEFT folders.

{facts}

```python
from peft import PeftModel
from transformers import AutoModelForCausalLM

base = AutoModelForCausalLM.from_pretrained({base})
model = PeftModel.from_pretrained(base, {out})
```
"""

_MERGED = """\
# {name} with rank {rank} of {source}

A base model into which a LoRA adapter was merged; weights in {dtype}, to which the sum was rounded.

{facts}

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained({out})
tokenizer = AutoTokenizer.from_pretrained({out})
```
"""


_CONVERTED = """\
# A LoRA adapter of rank {rank}, converted

A PEFT folder at full rank. Method and scaling are what was said when it was converted; the checkpoint does not hold
them.

{facts}
"""

_OF_A_METHOD = """\
# A LoRA adapter of rank {rank}, made of a {kind} adapter

Every rank r from 1 to {rank} is the best LoRA of rank r of the same update (its singular value decomposition).

{facts}
"""


@dataclass(frozen=True)
class Origin:
    """What was cut.

    Attributes:
        folder: The adapter folder.
        rank: The sub-rank, 1..R.
        inference: The inference rule, a name in `INFERENCES`, perhaps with a gain.
        budget: The budget that it was cut at, whose largest layer has the rank; None for a rank.
    """

    folder: AdapterFolder
    rank: int
    inference: str
    budget: Budget | None = None

    @property
    def what(self) -> str:
        """What was cut, as titles say it."""
        return f"Rank {self.rank}" if self.budget is None else f"{self.budget.used:,} parameters"

    @property
    def source(self) -> str:
        """The folder's name, as Markdown."""
        return _markdown(self.folder.path.resolve().name)

    def facts(self) -> str:
        """Return a table of what the folder was and what was cut from it."""
        method = self.folder.method
        rows = {
            "cut from": f"{self.source}, rank {method.max_rank}",
            "rank": self.rank if self.budget is None else f"up to {self.rank}, each layer its own",
            "method": method.description,
            "scaling": f"rule {method.scaling}, gain {method.gain:g}",
            "inference rule": self.inference,
            "sha256 of the source's weights": f"`{self.folder.sha256}`",
            "made with": f"aurac {version('aurac')}, PEFT {version('peft')}",
        }
        if self.budget is not None:
            rows["parameters"] = f"{self.budget.used:,}, of a budget of {self.budget.size:,}"
        if not self.folder.has_sidecar:
            rows["method"] = "plain LoRA (the source has no sidecar)"
        return _table(rows)


def slice_card(origin: Origin, config: Mapping[str, Any], *, out: Path) -> str:
    """Return the README of a slice.

    Args:
        origin: What was cut.
        config: PEFT's configuration of the slice.
        out: The folder that the slice goes to.
    """
    base, width = config.get("base_model_name_or_path"), config["r"]
    data = ModelCardData(base_model=base, library_name="peft", pipeline_tag=_pipeline(config), tags=["lora"])
    text = _SLICE.format(
        what=origin.what,
        source=origin.source,
        r=width,
        padding=f" (rank {origin.rank}, filled up with zeros)" if width > origin.rank else "",
        facts=origin.facts(),
        base=_python(base or "BASE MODEL"),
        out=_python(out.name),
    )
    return f"---\n{data.to_yaml()}\n---\n\n{text}"


def merged_card(origin: Origin, base: str, *, dtype: str, out: Path) -> str:
    """Return the README of a merged model.

    Args:
        origin: What was merged.
        base: Name of the base model.
        dtype: Of the weights.
        out: The folder that the model goes to.
    """
    pipeline = _pipeline(origin.folder.config)
    data = ModelCardData(base_model=base, library_name="transformers", pipeline_tag=pipeline, tags=["lora", "merged"])
    text = _MERGED.format(
        name=_markdown(base),
        rank=origin.rank,
        source=origin.source,
        dtype=dtype,
        facts=origin.facts(),
        out=_python(out.name),
    )
    return f"---\n{data.to_yaml()}\n---\n\n{text}"


def converted_card(checkpoint: Path, maker: str, method: NestedMethod, base: str) -> str:
    """Return the README of a folder that was made from a checkpoint of another program."""
    data = ModelCardData(base_model=base, library_name="peft", pipeline_tag="text-generation", tags=["lora"])
    rows = {
        "checkpoint": f"{_markdown(checkpoint.name)}, {maker}",
        "sha256 of the checkpoint": f"`{file_sha256(checkpoint)}`",
        "method": method.description,
        "scaling": f"rule {method.scaling}, gain {method.gain:g}",
        "made with": f"aurac {version('aurac')}, PEFT {version('peft')}",
    }
    text = _CONVERTED.format(rank=method.max_rank, facts=_table(rows))
    return f"---\n{data.to_yaml()}\n---\n\n{text}"


def method_card(folder: Path, kind: str, method: NestedMethod, base: str, *, lost: float) -> str:
    """Return the README of a LoRA that was made of an adapter of another PEFT method.

    Args:
        folder: The adapter that it was made of.
        kind: Its type in PEFT.
        method: Of the LoRA.
        base: Name of the base model.
        lost: Relative error of the update.
    """
    data = ModelCardData(base_model=base, library_name="peft", pipeline_tag="text-generation", tags=["lora"])
    rows = {
        "made of": f"{_markdown(folder.resolve().name)}, a PEFT adapter of type {kind}",
        "sha256 of its weights": f"`{file_sha256(folder / WEIGHTS)}`",
        "method": method.description,
        "lost of the update": f"{lost:.2%} (Frobenius norm, relative)",
        "made with": f"aurac {version('aurac')}, PEFT {version('peft')}",
    }
    text = _OF_A_METHOD.format(rank=method.max_rank, kind=kind, facts=_table(rows))
    return f"---\n{data.to_yaml()}\n---\n\n{text}"


def _table(rows: Mapping[str, object]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])


def _markdown(name: str) -> str:
    """Return a name from a file as one line of Markdown that holds no markup and no HTML."""
    line = " ".join("".join(char if char.isprintable() else " " for char in name).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]|~#$])", r"\\\1", line)


def _python(name: str) -> str:
    """Return a name from a file as a literal of Python, in one line."""
    return json.dumps(name) if name.isascii() else repr(name)


def _pipeline(config: Mapping[str, Any]) -> str | None:
    return "text-generation" if config.get("task_type") == "CAUSAL_LM" else None
