"""A plan asks for exactly the positions that the queries ask for, behind exactly their prefixes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurac.harness.engine.document import Document
from aurac.harness.engine.plan import Family, Plan, make_plan
from aurac.harness.engine.queries import Query, make_query

Asked = tuple[int, tuple[int, ...], int]  # slot, prefix, target


def asked_by(document: Document, header: tuple[int, ...]) -> Iterator[Asked]:
    trunk, visible = header + tuple(document.trunk.tolist()), document.visible()
    for row, target, slot in zip(document.answer_rows, document.answer_targets, document.answer_slots, strict=True):
        where = int(document.rows[row]) - len(document.trunk)
        if where < 0:
            yield int(slot), trunk[: len(trunk) + where + 1], int(target)
        else:
            seen = np.flatnonzero(visible[where])
            prefix = trunk + tuple(document.branches[seen].tolist())
            assert document.positions[where] == len(prefix) - 1
            yield int(slot), prefix, int(target)


def asked(family: Family, before: tuple[int, ...] = ()) -> Iterator[Asked]:
    header = before + tuple(family.header.tolist())
    assert len(header) == family.depth
    for document in family.documents:
        yield from asked_by(document, header)
    for longer in family.families:
        yield from asked(longer, header)


def expected(queries: list[Query], plan: Plan) -> set[Asked]:
    return {
        (slot, tuple(query.tokens[: query.first_asked + j + 1].tolist()), target)
        for query, slot in zip(queries, plan.slots, strict=True)
        for j, target in enumerate(query.targets.tolist())
    }


def forwarded(plan: Plan) -> int:
    return sum(len(f.header) + sum(d.size for d in f.documents) for f in plan.root.walk())


tokens = st.lists(st.integers(1, 3), min_size=1, max_size=8)
pairs = st.lists(st.tuples(tokens, tokens), min_size=1, max_size=25)


@pytest.mark.parametrize(("packed", "share"), [(512, True), (4, True), (0, True), (512, False)])
@given(pairs=pairs, header=st.sampled_from([1, 2, 48]), window=st.sampled_from([8, 12, 16]))
def test_every_position_is_asked_behind_its_own_prefix(
    packed: int, share: bool, pairs: list[tuple[list[int], list[int]]], header: int, window: int
) -> None:
    queries = [make_query(context, rest, window=window) for context, rest in pairs]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aurac.harness.engine.plan.PACKED", packed)
        patch.setattr("aurac.harness.engine.plan.PACKED_MOST", packed)
        plan = make_plan(queries, share=share, header=header)
    found = list(asked(plan.root))
    assert len(found) == len(set(found))
    assert set(found) == expected(queries, plan)
    prefixes = {tuple(q.tokens[: i + 1].tolist()) for q in queries for i in range(len(q.tokens))}
    assert plan.distinct_tokens == len(prefixes) <= forwarded(plan) <= plan.tokens_one_by_one


@given(pairs=pairs)
def test_whatever_fits_one_pack_is_forwarded_once(pairs: list[tuple[list[int], list[int]]]) -> None:
    plan = make_plan([make_query(context, rest, window=20) for context, rest in pairs])
    assert forwarded(plan) == plan.distinct_tokens
    assert len(plan.documents) == 1


def test_prompts_are_never_packed() -> None:
    queries = [make_query([*range(1, 60), last], [0], window=100) for last in range(60, 70)]
    plan = make_plan(queries, pack=False)
    (family,) = plan.root.families
    assert family.depth == 59
    assert [document.trunk.tolist() for document in family.documents] == [[n] for n in range(69, 59, -1)]


def test_a_chain_of_prefixes_longer_than_pythons_stack_is_planned() -> None:
    queries = [make_query([7] * n, [7], window=3000) for n in range(1, 2500)]
    plan = make_plan(queries)
    assert len(set(plan.slots)) == 2499
    assert plan.distinct_tokens == 2499
