"""The model card: what the hub reads in its front matter, what readers see, and names that are markup."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import model_index_to_eval_results

from aurac.analysis.compute import compute
from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import AuracError
from aurac.report.numbers import rounded
from aurac.report.pages.model_card import MARK, Subject, model_card
from aurac.report.pages.publishing import read_front_matter
from aurac.results import Run
from runs_by_hand import curve, profile_of

SUBJECT = Subject("mine", "me/mine", "meta-llama/Llama-3.2-1B", "dylora", 8, "dylora, scaling rule sqrt")


@pytest.fixture
def run(make_run: Callable[..., Run]) -> Run:
    made = make_run("mine", curve("arc", 1), curve("t|x_1*", 2))
    dataset = {"arc": {"dataset": ["allenai/ai2_arc", "ARC-Challenge"]}, "t|x_1*": {"dataset": ["json", None]}}
    return replace(made, record={**made.record, "tasks": dataset, "versions": {"aurac": "1", "lm_eval": "2"}})


def test_the_hub_reads_aurac_and_accuracies_out_of_the_front_matter(run: Run) -> None:
    card = ModelCard(model_card(SUBJECT, run))
    assert (card.data.base_model, card.data.library_name) == (SUBJECT.base, "peft")
    assert {"lora", "aurac", "dylora", f"base_model:adapter:{SUBJECT.base}"} <= set(card.data.tags or ())
    name, results = model_index_to_eval_results(card.data.to_dict()["model-index"])
    assert name == "mine"
    found = {(r.dataset_name, r.metric_type, (r.metric_args or {}).get("rank")): r for r in results}
    for task in run.tasks:
        score = compute(run, task=task)
        aurac = found[task, "aurac", None]
        assert (aurac.metric_value, aurac.metric_args) == (
            rounded(score.value), {"stderr": rounded(score.stderr), "signature": str(score.signature)},
        )  # fmt: skip
        assert found[task, "acc", 8].metric_value == run.curve(task).accuracy_at(8)
    assert (found["arc", "acc", 8].dataset_type, found["arc", "acc", 8].dataset_config) == (
        "allenai/ai2_arc", "ARC-Challenge",
    )  # fmt: skip
    assert found["t|x_1*", "acc", 8].dataset_type == "t|x_1*"


def test_readers_see_curve_score_signature_plot_rank_cost_and_how_to_load(run: Run) -> None:
    text = model_card(SUBJECT, run, margin=0.9, size=(8000, 32000), profile=profile_of(8000))
    signature = compute(run, task="arc").signature
    for part in (
        "# mine",
        "![rank-accuracy curves](curves.png)",
        "AURAC ± standard error",
        f"`{signature}`",
        "recommended rank 1 of 8 (margin 90.00 points)",
        "| **1** | 1,000 | 4.00 kB | 20.1 ms |",
        'AutoModelForCausalLM.from_pretrained("meta-llama/Llama-3.2-1B")',
        'folder = snapshot_download("me/mine")',
        "with at_rank(nested, 1):",
    ):
        assert part in text
    assert "acc at rank 1'" in text  # the recommended rank is in the model-index


def test_names_of_tasks_are_escaped_in_the_body(run: Run) -> None:
    body = model_card(SUBJECT, run).partition(MARK)[2]
    assert "| t\\|x\\_1\\* | acc |" in body
    assert "**t|x_1*" not in body


@pytest.mark.parametrize("base", [None, "/private/model", "../model", "my model"])
def test_a_base_model_that_is_not_on_the_hub_is_not_named(base: str | None, run: Run) -> None:
    text = model_card(replace(SUBJECT, base=base, repo_id=None), run)
    assert ModelCard(text).data.base_model is None
    assert base is None or base not in text
    assert 'from_pretrained("BASE_MODEL")' in text
    assert 'folder = "mine"' in text


def test_a_folder_that_looks_like_a_name_on_the_hub_is_not_named(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models" / "llama").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert ModelCard(model_card(replace(SUBJECT, base="models/llama"), run)).data.base_model is None


def test_without_documents_the_card_says_why_no_rank_is_recommended(make_run: Callable[..., Run]) -> None:
    run = make_run("mine", RankAccuracyCurve((1, 2), (0.25, 0.5), task="arc", metric="acc"))
    text = model_card(SUBJECT, run)
    assert "No rank can be recommended: no rank of run 'mine' can be recommended" in text
    assert "arc: acc at rank 2" in text


def test_front_matter_that_is_not_ours_stays(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    tags = "tags:\n- mine\n- base_model:adapter:/private/x\n"
    file.write_text(f"---\nlicense: mit\nbase_model: /private/x\n{tags}model_name: y\n---\ntext\n")
    with pytest.raises(AuracError, match=r"README.md was not written by `aurac card`. Replace it with --overwrite"):
        read_front_matter(file, overwrite=False)
    text = model_card(SUBJECT, run, kept=read_front_matter(file, overwrite=True))
    assert "/private/x" not in text
    data: Any = ModelCard(text).data
    assert (data.license, data.base_model, data.tags[0]) == ("mit", SUBJECT.base, "mine")
    file.write_text(text)
    assert model_card(SUBJECT, run, kept=read_front_matter(file, overwrite=False)) == text


def test_front_matter_that_cannot_be_read_is_said_to_be_so(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    assert read_front_matter(file, overwrite=False) == {}
    file.write_text(f"---\na: [1\n---\n{MARK}\n")
    with pytest.raises(AuracError, match=r"the front matter of .*README.md cannot be read: .* Correct it, or delete"):
        read_front_matter(file, overwrite=False)
