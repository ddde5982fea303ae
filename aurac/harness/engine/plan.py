"""Which prefixes are forwarded once: documents behind headers, found in the sorted sequences alone.

A plan depends on the requests and the tokenizer, never on the weights, so one plan serves every rank of a sweep.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from aurac.harness.engine.document import Document, make_document
from aurac.harness.engine.packing import WIDTH
from aurac.harness.engine.prefixes import Prefixes, sort_prefixes
from aurac.harness.engine.queries import Query, Tokens

PACKED = 256  # remainders up to this size are packed behind their trunk
PACKED_SAVING = 512  # and up to this size where that saves a part of the tokens
PACKED_MOST = 2048  # and up to this size where they are no longer than the trunk
HEADER = 48  # shorter shared prefixes cost more in masks than they save
SAVES = 0.05  # part of the tokens that a header, or a wide pack, must save


@dataclass
class Family:
    """Documents, and families with longer headers, that share a header.

    Attributes:
        header: Tokens behind the parent's header, shape (h,); empty for the root.
        depth: Tokens before the documents of this family.
        documents: What is scored right behind the header.
        width: Tokens that documents may fill side by side in a row, under a mask; 0 if each needs a row of its own.
        families: What is scored behind longer headers.
    """

    header: Tokens
    depth: int
    width: int = WIDTH
    documents: list[Document] = field(default_factory=list)
    families: list[Family] = field(default_factory=list)

    def walk(self) -> Iterator[Family]:
        """Iterate over this family and all below it."""
        yield self
        for family in self.families:
            yield from family.walk()


@dataclass(frozen=True)
class Plan:
    """What has to be forwarded to answer a list of requests.

    Attributes:
        root: The family without a header.
        slots: For each request, the query that answers it.
        queries: Number of different queries.
        distinct_tokens: Different token prefixes: the limit for the tokens forwarded.
        tokens_one_by_one: Tokens of the different inputs, each on its own.
        truncated: Requests that were cut from the left.
        alone: Requests whose sequences share nothing with others.
    """

    root: Family
    slots: tuple[int, ...]
    queries: int
    distinct_tokens: int
    tokens_one_by_one: int
    truncated: int
    alone: int

    @property
    def documents(self) -> list[Document]:
        """All documents of the plan."""
        return [document for family in self.root.walk() for document in family.documents]

    def requests_of_slots(self) -> list[list[int]]:
        """Return for each query slot the requests that it answers."""
        asked: list[list[int]] = [[] for _ in range(self.queries)]
        for i, slot in enumerate(self.slots):
            asked[slot].append(i)
        return asked


def make_plan(
    queries: Sequence[Query],
    *,
    share: bool = True,
    pack: bool = True,
    header: int = HEADER,
    most: int | None = None,
    room: int | None = None,
) -> Plan:
    """Plan the forward calls for queries, in the order of the queries.

    Args:
        queries: What is asked; equal ones are answered once.
        share: Whether prefixes are shared at all; if not, every different sequence is a row of its own.
        pack: Whether sequences may be packed behind a common trunk; if not, only headers are shared.
        header: Length from which a prefix shared by several documents is forwarded on its own.
        most: Tokens up to which sequences share; each longer one is a row of its own. None: all share.
        room: Tokens that a row may hold, header included, of a model that looks up something by place in the row.
    """
    slot_of: dict[tuple[bytes, bytes], int] = {}
    slots = tuple(slot_of.setdefault((q.tokens.tobytes(), q.targets.tobytes()), len(slot_of)) for q in queries)
    different = dict(zip(slots, queries, strict=True))
    prefixes = sort_prefixes([different[slot].tokens for slot in range(len(slot_of))])
    alone = {slot for slot, query in different.items() if not share or (most is not None and len(query.tokens) > most)}
    root = _plan_some({s: q for s, q in different.items() if s not in alone}, _Rules(True, pack, header, room))
    if alone:
        rows = _plan_some({slot: different[slot] for slot in alone}, _Rules(False, pack, header, room))
        root = rows if len(alone) == len(different) else replace(root, families=[*root.families, rows])
    return Plan(
        root,
        slots,
        len(slot_of),
        prefixes.distinct_tokens,
        sum(map(len, prefixes.sequences)),
        sum(query.truncated for query in queries),
        sum(slot in alone for slot in slots),
    )


@dataclass(frozen=True)
class _Rules:
    """The arguments of `make_plan`."""

    share: bool
    pack: bool
    header: int
    room: int | None

    def width(self, depth: int) -> int:
        """Return what documents behind so many tokens may fill side by side."""
        width = WIDTH if self.share and self.pack else 0
        return width if self.room is None else max(0, min(width, self.room - depth))


def _plan_some(queries: Mapping[int, Query], rules: _Rules) -> Family:
    """Return the family of the queries of some slots."""
    slots = list(queries)
    prefixes = sort_prefixes([queries[slot].tokens for slot in slots])
    by_sequence: list[list[tuple[int, Query]]] = [[] for _ in prefixes.sequences]
    for slot, place in zip(slots, prefixes.index, strict=True):
        by_sequence[place].append((slot, queries[slot]))
    return _Planner(prefixes, by_sequence, rules).root()


class _Planner:
    """Walks the trie from the root and decides at each fork: one document, a header, or neither."""

    def __init__(self, prefixes: Prefixes, queries: list[list[tuple[int, Query]]], rules: _Rules) -> None:
        self.prefixes, self.queries, self.rules = prefixes, queries, rules
        self.first_asked = np.array([min(query.first_asked for _, query in asked) for asked in queries], dtype=np.int64)

    def root(self) -> Family:
        prefixes = self.prefixes
        root = Family(np.zeros(0, dtype=np.int32), 0, self.rules.width(0))
        # A stack, because chains of prefixes of one another may be deeper than Python recurses.
        todo = [(0, len(prefixes.sequences), root)] if prefixes.sequences else []
        while todo:
            start, stop, family = todo.pop()
            if stop == start + 1 or (self.rules.share and self.is_document(start, stop, family.depth)):
                family.documents.append(make_document(prefixes, self.queries, span=(start, stop), header=family.depth))
                continue
            children = prefixes.children(start, stop)
            if self.rules.share:
                family = self.behind_header(start, stop, len(children), family)
            todo += [(*child, family) for child in children]
        return root

    def is_document(self, start: int, stop: int, before: int) -> bool:
        depth = self.prefixes.depth(start, stop)
        trunk, behind = depth - before, self.prefixes.below(start, stop, depth)
        apart = behind + trunk * len(self.prefixes.children(start, stop))
        saving = apart - trunk - behind >= SAVES * apart
        if self.rules.room is not None and depth + behind > self.rules.room:
            return False
        return self.rules.pack and behind <= max(PACKED, PACKED_SAVING if saving else 0, min(trunk, PACKED_MOST))

    def behind_header(self, start: int, stop: int, n_children: int, family: Family) -> Family:
        """Return a new family behind a longer header where that pays, else the one given."""
        # A header holds no position that is asked for: headers are forwarded without reading logits.
        depth = min(self.prefixes.depth(start, stop), int(self.first_asked[start:stop].min()))
        length = depth - family.depth
        behind = self.prefixes.below(start, stop, depth)
        if length < self.rules.header or (n_children - 1) * length < SAVES * (behind + n_children * length):
            return family
        longer = Family(self.prefixes.sequences[start][family.depth : depth], depth, self.rules.width(depth))
        family.families.append(longer)
        return longer
