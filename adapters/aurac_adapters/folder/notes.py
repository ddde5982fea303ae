"""What a user should know about a folder's configuration before believing a number of it, one sentence each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aurac_adapters.folder.key_names import clean_names
from aurac_adapters.layer.options import unknown_note


def config_notes(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield the notes on PEFT's configuration as it stands in the file."""
    if note := unknown_note(config):
        yield note
    if changed := [name for name, value in clean_names(config).items() if value != config[name]]:
        yield f"the configuration has names of wrappers in {', '.join(sorted(changed))}; they are left out."
