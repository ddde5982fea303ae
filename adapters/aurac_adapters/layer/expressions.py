"""Regular expressions of strangers: how many ways there are to match one, since Python's `re` has no limit of time."""

from __future__ import annotations

import re
from math import inf

LONGEST = 2000
_TOKEN = re.compile(
    r"""\\.                                        # an escape
    | \[\^?\]?(?:\\.|[^\]\\])*\]                   # a class
    | \((?:\?(?:P<\w+>|<?[=!]|:))?                 # a group
    | (?:[*+?]|\{\d*,?\d*\})[?+]?                  # a repetition
    | .""",
    re.VERBOSE | re.DOTALL,
)
_LITERAL = re.compile(r"\\[^A-Za-z0-9]|[^\\\[.^$]", re.DOTALL)


def freedom(pattern: str) -> float:
    """Return how many repetitions and ambiguous choices follow each other in a valid expression, at most.

    With d of them a text of n characters can be matched in about n ** d ways, which `re` tries one after the other.
    Infinite for a repeated group, whose ways are exponentially many, and for groups that are not looked into.

    Example:
        >>> freedom(r".*attn.*(q|v)_proj"), freedom("(a|.)(a|.)"), freedom("(a+)+")
        (2, 2, inf)
    """
    open_groups = [_Group()]
    before = ""
    for token in _TOKEN.findall(pattern.removeprefix("(?i)")):
        group = open_groups[-1]
        if token[0] == "(":
            open_groups.append(_Group())
        elif token == ")":
            open_groups.pop()
            open_groups[-1].add(group.freedom())
        elif token == "|":
            group.start()
        elif token[0] in "*+?" or (token[0] == "{" and len(token) > 1):
            if before == "(" or (before == ")" and token[0] != "?"):
                return inf
            group.add(1)
        else:
            group.add(0, token[-1] if _LITERAL.fullmatch(token) else None)
        before = token
    return max(open_groups[0].freedoms)


class _Group:
    """The alternatives of a group: the freedom of each, and its text where it is nothing but a text."""

    def __init__(self) -> None:
        self.freedoms: list[int] = []
        self.texts: list[str | None] = []
        self.start()

    def start(self) -> None:
        self.freedoms.append(0)
        self.texts.append("")

    def add(self, freedom: int, text: str | None = None) -> None:
        self.freedoms[-1] += freedom
        before = self.texts[-1]
        self.texts[-1] = None if text is None or before is None else before + text

    def freedom(self) -> int:
        """Return that of the freest alternative, and more where several can match at the same place."""
        texts = [text for text in self.texts if text is not None]
        if len(texts) == len(self.texts):
            at_once = max(sum(text.startswith(other) for other in texts) for text in texts)
        else:
            at_once = len(self.texts)
        return max(self.freedoms) + (at_once - 1).bit_length()
