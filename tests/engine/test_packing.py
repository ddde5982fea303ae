"""Short documents stand side by side in rows, are forwarded in one call, and padding stays below 5 %."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lm_eval.models.huggingface import HFLM

from aurac.harness.engine.batches import Budget, next_batch
from aurac.harness.engine.document import Document
from aurac.harness.engine.lm import AuracLM
from aurac.harness.engine.packing import WIDTH, Row, pack_rows
from aurac.harness.engine.plan import make_plan
from aurac.harness.engine.queries import make_query
from engine_cases import assert_same, requests

Pair = tuple[AuracLM, HFLM]


def document(size: int, slot: int = 0, *, branches: int = 0) -> Document:
    """One sequence of `size` tokens that asks for its last token, or a trunk and two remainders behind it."""
    start = [slot, *range(size - branches - 1)]
    if not branches:
        (found,) = make_plan([make_query(start, [0], window=10_000)]).documents
        return found
    halves = [7000 + slot, *range(branches // 2 - 1)], [8000 + slot, *range(branches - branches // 2 - 1)]
    (found,) = make_plan([make_query(start, [*half, 0], window=10_000) for half in halves]).documents
    return found


def batches(sizes: list[int]) -> list[list[Row]]:
    rows = pack_rows([document(size, slot) for slot, size in enumerate(sizes)])
    budget, found = Budget(4096, None, 1000), []
    while rows:
        found.append(next_batch(rows, budget=budget))
        del rows[: len(found[-1])]
    return found


@given(st.lists(st.integers(1, 400), min_size=1, max_size=60))
def test_every_document_stands_in_one_row_and_no_row_is_wider_than_its_limit(sizes: list[int]) -> None:
    rows = pack_rows([document(size, slot) for slot, size in enumerate(sizes)])
    assert sorted(d.size for row in rows for d in row.documents) == sorted(sizes)
    assert all(row.size <= WIDTH or len(row.documents) == 1 for row in rows)


@pytest.mark.parametrize("longest", [60, 120, 250])
@pytest.mark.parametrize("seed", range(3))
def test_at_most_5_percent_of_50_documents_of_any_size_is_padding(longest: int, seed: int) -> None:
    sizes = np.random.default_rng(seed).integers(longest // 6, longest, 50).tolist()
    padded = sum(len(batch) * max(row.size for row in batch) for batch in batches(sizes))
    assert padded <= sum(sizes) / 0.95


def test_forty_short_documents_are_one_call() -> None:
    assert len(batches([90] * 40)) == 1


def test_documents_of_a_row_do_not_see_each_other() -> None:
    row = Row((document(3, 0, branches=2), document(2, 1)))
    # Trunk of 1 token, two remainders of 1 token each; then a sequence of 2 tokens.
    wanted = [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 0, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 1, 1]]
    assert row.visible().astype(int).tolist() == wanted
    assert row.positions(0).tolist() == [0, 1, 1, 0, 1]


@pytest.mark.parametrize(("size", "branches", "calls"), [(500, 60, 1), (600, 60, 2), (600, 0, 1)])
def test_only_a_long_document_with_remainders_takes_two_calls(size: int, branches: int, calls: int) -> None:
    assert len(Row((document(size, branches=branches),)).parts) == calls


def test_rows_in_one_call_and_in_two_are_never_in_one_batch() -> None:
    rows = pack_rows([document(600, 0, branches=60), document(590, 1)])
    assert [len(next_batch(rows, budget=Budget(4096, None, 1000))), len(rows)] == [1, 2]


CHOICES = [(f"{letter}{i} " * (2 + i), end) for i, letter in enumerate("qwxyzj") for end in (" the cat", "ion:", "xyz")]


@pytest.mark.parametrize("whole", [0, 10, 512])
@pytest.mark.parametrize("size", ["auto", 1, 3])
def test_answers_are_those_of_hflm_however_documents_are_laid_out(
    whole: int, size: int | str, pair_of: Callable[..., Pair], model: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aurac.harness.engine.packing.WHOLE", whole)
    monkeypatch.setattr("aurac.harness.engine.plan.PACKED", 8)
    monkeypatch.setattr("aurac.harness.engine.plan.PACKED_SAVING", 12)
    assert_same(*pair_of(model, batch_size=size), requests(*CHOICES))


def test_a_short_document_is_one_call_and_nothing_is_cached(lms: Pair) -> None:
    ours, _ = lms
    asked = requests(*CHOICES)
    ours.loglikelihood(asked, disable_tqdm=True)
    work = ours.reset_work()
    assert work.forward_calls == 1
    assert work.padding_tokens == 0
    assert set(work.seconds) == {"trial", "plan", "document"}


def test_an_integer_batch_size_is_documents_per_call(
    pair_of: Callable[..., Pair], model: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aurac.harness.engine.plan.PACKED", 8)
    monkeypatch.setattr("aurac.harness.engine.plan.PACKED_SAVING", 12)
    ours, _ = pair_of(model, batch_size=1)
    ours.loglikelihood(requests(*CHOICES), disable_tqdm=True)
    assert ours.work.forward_calls == ours.work.documents > 1
