"""A card on disk that is never somebody else's, and its folder on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aurac.errors import AuracError
from aurac.report.pages.eval_results import FILE
from aurac.report.pages.model_card import MARK
from aurac.writing import write_text

LEFT_OUT = (
    *("checkpoint-*", "checkpoints/*", "*.pt", "*.pth", "*.bin", "*.tmp", ".*", "*/.*", "*/cells/*"),
    *("training.json", "*/training.json"),
)
"""What is not uploaded: checkpoints and states of the training, pickles, hidden and unfinished files; and the record of
the training, which nobody needs to use the adapter and which names files of this machine.
"""


def read_front_matter(file: Path, *, overwrite: bool) -> dict[str, Any]:
    """Return the front matter of a card that is to be replaced; nothing where there is none.

    Raises:
        AuracError: If the file is neither one of our cards nor PEFT's unfilled template, unless `overwrite` is set; or
            its front matter is damaged.
    """
    from huggingface_hub import ModelCard

    if not file.exists():
        return {}
    text = file.read_text(encoding="utf-8")
    if MARK not in text and not _is_unfilled(text) and not overwrite:
        raise AuracError(
            f"{file} was not written by `aurac card`. Replace it with --overwrite (its front matter is kept), or give "
            "another file with --out."
        )
    try:
        data: Any = ModelCard(text, ignore_metadata_errors=True).data
        return dict(data.to_dict())
    except Exception as exc:  # YAML fails in many ways
        cause = " ".join(str(exc).split())
        raise AuracError(
            f"the front matter of {file} cannot be read: {cause:.200}. Correct it, or delete the file."
        ) from exc


def _is_unfilled(text: str) -> bool:
    """Tell PEFT's template, which `save_pretrained` leaves in adapter folders, from a card that somebody filled in."""
    return text.count("[More Information Needed]") > 20


def write_card(file: Path, text: str) -> None:
    """Write the card in one piece."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, text)


def push(folder: Path, repo_id: str) -> str:
    """Upload an adapter folder with its card and record, and return the address.

    Raises:
        AuracError: If the hub cannot be reached or refuses.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    try:
        url = api.create_repo(repo_id, exist_ok=True)
        api.upload_folder(
            repo_id=repo_id, folder_path=folder, ignore_patterns=list(LEFT_OUT), commit_message="Adapter and model card"
        )
        if (folder / FILE).is_file():  # hidden, so it is left out above
            api.upload_file(repo_id=repo_id, path_or_fileobj=folder / FILE, path_in_repo=FILE.as_posix())
    except Exception as exc:  # the hub fails in many ways
        cause = " ".join(str(exc).split())
        raise AuracError(
            f"{repo_id} cannot be written: {cause:.300}. Log in with `hf auth login`; the card itself is on disk."
        ) from exc
    return str(url)
