"""What a server can be asked, found out with one prompt before anything is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from aurac.harness.server.client import Client, ServerError
from aurac.harness.server.completions import Row, chain, choices, echo, forced

TEXTS = (
    "The capital of France is Paris, and the capital of Italy is Rome. 2 + 3 = 5.",
    "def add(a, b):\n    return a + b\n",
)
LONGEST = 24  # tokens of a probe
# Log-probabilities of one server, asked in two ways, differ by rounding: 16 bits and batches of other sizes.
_SAME = 0.25


@dataclass(frozen=True)
class Abilities:
    """What the server answers rightly.

    Attributes:
        by_echo: The prompt's own log-probabilities.
        by_chain: Log-probabilities of named tokens behind a prompt.
        by_force: The log-probability of a token that it is forced to write behind a prompt.
        why: The server's words where it has none of them.
    """

    by_echo: bool
    by_chain: bool
    by_force: bool = False
    why: str = ""

    @property
    def scores(self) -> bool:
        """Whether log-probabilities can be had at all."""
        return self.by_echo or self.by_chain or self.by_force


def probe_rows(tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """Return the tokens of a few short texts."""
    return [list(tokenizer(text)["input_ids"])[:LONGEST] for text in TEXTS]


def find_abilities(client: Client, model: str, row: Row) -> Abilities:
    """Ask in all ways; a chain that contradicts the echo is not used.

    Raises:
        ServerError: If the server does not take the prompt at all.
    """
    why, echoed, chained = "", None, None
    choices(client, model, {"prompt": [list(row)], "max_tokens": 1, "temperature": 0}, 1)
    try:
        echoed = echo(client, model, [row])[0][-1][0]
    except ServerError as exc:
        why = str(exc)
    try:
        chained = chain(client, model, [row[:-1]], [row[-1], row[0]])[0].values[row[-1]]
    except ServerError as exc:
        why = why or str(exc)
    agree = echoed is None or chained is None or abs(echoed - chained) < _SAME
    by_force = echoed is None and chained is None and _can_be_forced(client, model, row)
    return Abilities(echoed is not None, chained is not None and agree, by_force, why)


def _can_be_forced(client: Client, model: str, row: Row) -> bool:
    """Return whether a token that is forced leaves the log-probabilities as they are: the likeliest stays the same."""
    tokens = dict.fromkeys(row)
    try:
        said = [forced(client, model, [row[:-1]], [token])[0] for token in list(tokens)[:3]]
    except ServerError:
        return False
    return len(said) > 1 and len({position.likeliest for position in said}) == 1


def log_probabilities(client: Client, model: str, rows: Sequence[Row], able: Abilities) -> list[list[float]]:
    """Return the log-probability of every token of every row but its first."""
    if able.by_echo:
        return [[value for value, _ in row] for row in echo(client, model, rows)]
    ask = chain if able.by_chain else forced
    return [[ask(client, model, [row[:i]], [row[i]])[0].values[row[i]] for i in range(1, len(row))] for row in rows]


def check_tokenizer(client: Client, model: str, row: Row, tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise `ServerError` if the server writes our token numbers as other texts: its base model is another one."""
    body: dict[str, Any] = {"prompt": [list(row)], "echo": True, "logprobs": 1, "max_tokens": 1, "temperature": 0}
    said = (choices(client, model, body, 1)[0].get("logprobs") or {}).get("tokens") or []
    pairs = [(_plain(tokenizer.decode([token])), _plain(text)) for token, text in zip(row, said, strict=False)]
    told = [(ours, theirs) for ours, theirs in pairs if ours.isascii() and theirs.isascii() and ours and theirs]
    other = [(ours, theirs) for ours, theirs in told if ours != theirs]
    if len(other) * 2 > len(told):
        raise ServerError(
            f"the server's {model} has another tokenizer: it writes {other[0][1]!r} where ours has {other[0][0]!r}. "
            "Its base model is another one; serve the adapter's, or give --base."
        )


def check_different(client: Client, names: Mapping[int, str], row: Row, able: Abilities) -> None:
    """Raise `ServerError` if two ranks answer the same, to the last digit: the server does not look at the name."""
    if not able.scores:
        return
    ranks = sorted(rank for rank in names if rank)
    last, others = ranks[-1], {ranks[0], *(rank for rank in names if not rank)} - {ranks[-1]}
    found = {rank: log_probabilities(client, names[rank], [row], able) for rank in (last, *sorted(others))}
    for rank in sorted(others):
        if found[rank] == found[last]:
            raise ServerError(
                f"the server's {names[rank]} and {names[last]} give the same numbers to the last digit. It serves one "
                "model under both names, or does not look at the name; serve a slice for each rank (aurac slice)."
            )


def _plain(text: str) -> str:
    return text.strip().strip("▁ĠĊ").strip()
