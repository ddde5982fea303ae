"""`aurac card`: a README with its plot, never over somebody else's, and an upload without checkpoints."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard
from huggingface_hub.utils import filter_repo_objects

from aurac import testbed
from aurac.report.pages.model_card import MARK

Call = Callable[..., Any]


@pytest.fixture
def folder(adapters: dict[str, Path], scored: dict[str, Path], tmp_path: Path) -> Path:
    """A scored adapter with what a training leaves; PEFT wrote its README."""
    made = copytree(adapters["one"], tmp_path / "mine")
    copytree(scored["one"], made / "aurac-run")
    for name in ("checkpoints/checkpoint-5/optimizer.pt", "checkpoint-5/adapter_model.safetensors", "optimizer.pt"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text("x")
    return made


def test_it_writes_a_card_with_its_plot_and_writes_its_own_again(call: Call, folder: Path) -> None:
    (folder / "README.md").unlink()
    done = call("card", folder)
    assert (done.status, done.out, done.err) == (0, f"{folder / 'README.md'}\n", "")
    card = ModelCard.load(folder / "README.md")
    assert card.data.eval_results
    assert (folder / "curves.png").stat().st_size > 1000
    first = (folder / "README.md").read_text()
    assert "recommended rank 4 of 4 (margin 1.00 points)" in first
    assert "one: cost of each rank" not in first  # called by its folder
    assert "mine: cost of each rank" in first
    assert call("card", folder, "--margin", "99").status == 0
    assert "recommended rank 1 of 4 (margin 99.00 points)" in (folder / "README.md").read_text()


def test_a_readme_of_somebody_else_is_kept_unless_that_is_asked_for(call: Call, folder: Path) -> None:
    (folder / "README.md").write_text("# Mine\n")
    before = (folder / "README.md").read_text()
    assert "was not written by `aurac card`. Replace it with --overwrite" in call("card", folder).error
    assert (folder / "README.md").read_text() == before
    assert not (folder / "curves.png").exists()
    assert call("card", folder, "--overwrite").status == 0
    assert MARK in (folder / "README.md").read_text()


def test_the_template_that_peft_leaves_is_replaced(call: Call, folder: Path) -> None:
    assert "[More Information Needed]" in (folder / "README.md").read_text()
    assert call("card", folder).status == 0
    assert MARK in (folder / "README.md").read_text()


def test_the_record_of_another_function_of_the_same_weights_is_refused(call: Call, folder: Path) -> None:
    file = folder / "aurac-run" / "run.json"
    record = json.loads(file.read_text())
    record["identity"]["adapter"]["gain"] = 0.25
    file.write_text(json.dumps(record))
    assert "was measured with gain 0.25, and" in call("card", folder, "--overwrite").error


def test_the_card_may_lie_elsewhere(
    call: Call, adapters: dict[str, Path], scored: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "cards" / "one.md"
    assert call("card", adapters["one"], "--record", scored["one"], "--out", out).status == 0
    assert sorted(path.name for path in out.parent.iterdir()) == ["curves.png", "one.md"]


@pytest.mark.parametrize("blocks", [[0], [1], [0, 1]])
def test_the_code_of_the_card_runs_each_block_alone_and_one_after_the_other(
    blocks: list[int], call: Call, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "README.md").unlink()
    assert call("card", folder).status == 0
    code = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), flags=re.DOTALL)
    assert len(code) == 2
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"PROMPT": torch.tensor([[1, 2]])}
    for block in blocks:
        text = code[block].replace("BASE_MODEL", str(testbed.MODEL)).replace("generate(...)", "forward(PROMPT)")
        exec(text, names)  # warnings are errors: PEFT warns of a second adapter on the same base
    assert (tmp_path / "rank-2" / "adapter_config.json").exists() == (1 in blocks)


class Hub:
    """What is asked of the hub, filtered as huggingface_hub filters it."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.files: list[str] = []
        self.hidden: list[str] = []

    def upload_file(self, *, repo_id: str, path_or_fileobj: Path, path_in_repo: str) -> None:
        assert path_or_fileobj.is_file()
        self.hidden.append(path_in_repo)

    def create_repo(self, repo_id: str, *, exist_ok: bool) -> str:
        assert exist_ok
        self.made.append(repo_id)
        return f"https://hub/{repo_id}"

    def upload_folder(
        self, *, repo_id: str, folder_path: Path, ignore_patterns: list[str], commit_message: str
    ) -> None:
        assert self.made == [repo_id]
        assert commit_message
        names = [path.relative_to(folder_path).as_posix() for path in Path(folder_path).rglob("*") if path.is_file()]
        self.files = sorted(filter_repo_objects(names, ignore_patterns=ignore_patterns))


def test_push_uploads_adapter_card_and_record_without_checkpoints(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub()
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: hub)
    (folder / "training.json").write_text('{"config": {"data": "/private/secret.jsonl"}}')
    (folder / ".env").write_text("TOKEN=x")
    (folder / ".eval_results").mkdir()
    (folder / ".eval_results/aurac.yaml").write_text("[]")
    done = call("card", folder, "--overwrite", "--push", "me/my-adapter")
    assert (done.status, done.out.splitlines()[-1]) == (0, "https://hub/me/my-adapter")
    assert hub.files == [
        *("README.md", "adapter_config.json", "adapter_model.safetensors"),
        *(f"aurac-run/{name}" for name in ("curves.pdf", "curves.png", "documents.parquet", "run.json")),
        "curves.png",
    ]
    assert hub.hidden == [".eval_results/aurac.yaml"]
    assert 'snapshot_download("me/my-adapter")' in (folder / "README.md").read_text()


def test_a_hub_that_refuses_is_one_error_line_and_the_card_stays(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("401 Client Error:\n no token")

    monkeypatch.setattr("huggingface_hub.HfApi.create_repo", refuse)
    done = call("card", folder, "--overwrite", "--push", "me/x")
    assert done.status == 1
    assert "me/x cannot be written: 401 Client Error: no token. Log in with `hf auth login`" in done.error
    assert MARK in (folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--push", "me/x", "--out", "x.md"), "--push uploads ADAPTER_DIR with its README.md. Leave --out away."),
        (("--record", "OTHER"), "is the record of the adapter"),
        (("--record", "nowhere"), "no such folder: nowhere"),
    ],
)
def test_mistakes_are_one_error_line(
    options: tuple[str, ...], message: str, call: Call, folder: Path, scored: dict[str, Path]
) -> None:
    done = call("card", folder, "--overwrite", *(scored["two"] if part == "OTHER" else part for part in options))
    assert (done.status, done.out) == (1, "")
    assert message in done.error
    assert MARK not in (folder / "README.md").read_text()
