"""Files of checkpoints that are not read: code in a pickle, archives and tensors that claim more than they hold."""

from __future__ import annotations

import zipfile
from pathlib import Path
from pickle import UnpicklingError, dumps

import pytest
import torch

from aurac.errors import AdapterError
from aurac_adapters.export.checkpoints.reading import read_tensors


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"model": print}, r": Unsupported global: GLOBAL print was not an allowed global by default\. Save a dict"),
        (b"\x80no pickle at all", r"(: .*)?\. Save a dictionary of tensors\.$"),
    ],
)
def test_a_pickle_is_refused_without_torch_s_advice_to_run_it(content: object, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "step.pt"
    file.write_bytes(content if isinstance(content, bytes) else dumps(content, protocol=2))
    with pytest.raises(AdapterError, match=r"holds more than tensors, which is refused and was not run" + reason) as it:
        read_tensors(file)
    assert not any(word in str(it.value) for word in ("weights_only", "\x1b", "safe_globals", "still be loaded"))


@pytest.mark.parametrize("content", [b"a text", b""])
def test_a_text_is_not_a_checkpoint(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "step.pt").write_bytes(content)
    with pytest.raises(AdapterError, match=r"step\.pt is not a checkpoint: torch\.save wrote no such file"):
        read_tensors(tmp_path / "step.pt")


def test_nothing_is_quoted_where_torch_gives_no_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise UnpicklingError("Weights only load failed. Set weights_only to False.")

    monkeypatch.setattr("torch.load", refuse)
    (tmp_path / "step.pt").write_bytes(b"\x80")
    with pytest.raises(AdapterError, match=r"was not run\. Save a dictionary of tensors\."):
        read_tensors(tmp_path / "step.pt")


def repack(file: Path, method: int, content: bytes) -> None:
    """Write an archive of torch.save again, with other content for its numbers."""
    with zipfile.ZipFile(file) as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(name, content if name.endswith("data/0") else data)


def test_an_archive_that_unpacks_to_more_than_its_size_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "bomb.pt"
    torch.save({"a": torch.zeros(4, 4)}, file)
    repack(file, zipfile.ZIP_DEFLATED, bytes(2**24))
    assert file.stat().st_size < 2**18
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("was read"))
    with pytest.raises(
        AdapterError, match=r"bomb\.pt would be 167\d+ bytes when it is unpacked, more than its own \d+;"
    ):
        read_tensors(file)


@pytest.mark.parametrize(
    "tensor",
    [torch.zeros(1).expand(2**40), torch.zeros(2**40, device="meta"), torch.eye(3).to_sparse()],
    ids=["expanded", "meta", "sparse"],
)
def test_tensors_that_claim_more_than_the_file_holds_are_refused(tensor: torch.Tensor, tmp_path: Path) -> None:
    torch.save({"a": tensor}, tmp_path / "a.pt")
    with pytest.raises(AdapterError, match=r"a\.pt: 'a' claims more numbers than the file holds, or holds them in"):
        read_tensors(tmp_path / "a.pt")


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_file_that_may_not_be_read_is_not_called_damaged(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / f"a{suffix}"
    torch.save({"a": torch.zeros(1)}, file)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr(torch, "load", refuse)
    monkeypatch.setattr("aurac_adapters.export.checkpoints.reading.load_file", refuse)
    with pytest.raises(PermissionError, match=r"Permission denied: '.*a\."):
        read_tensors(file)
