"""What every program of `make test-serving` is asked at every rank, and how two programs' answers are compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

DRAWS = 200
GREEDY = "greedy"
WRITTEN: dict[str, dict[str, Any]] = {
    GREEDY: {"do_sample": False, "max_gen_toks": 12, "until": []},
    "greedy until a stop": {"do_sample": False, "max_gen_toks": 12, "until": [" .", "\n"]},
    # Drawn from one candidate, so that the text is known.
    "sampled with top_k 1": {"do_sample": True, "temperature": 0.7, "top_k": 1, "max_gen_toks": 8, "until": []},
}
DRAWN = {"do_sample": True, "temperature": 0.4, "top_k": 5, "max_gen_toks": 1, "until": []}


def ask(
    lm: Any,
    tasks: Sequence[str],
    *,
    include_path: str | None,
    limit: int | None,
    shots: int | None,
    everything: bool,
) -> dict[str, Any]:
    """Return the answers to the tasks, to contexts with a long beginning in common, and what is written greedily.

    Args:
        lm: Answers.
        tasks: lm-eval's names.
        include_path: Folder of tasks; None for lm-eval's own.
        limit: Documents of each task.
        shots: Examples before each document; None for what the task says.
        everything: Also the tasks with the chat template, whole texts, the other ways of writing, and draws.

    Returns:
        "answers": section -> answers in the order of the requests, each [nats, is the likeliest] or a text.
        "drawn": texts of one token that were drawn behind one prompt.
    """
    from lm_eval.api.instance import Instance

    plain = _samples(lm, tasks, include_path, limit, shots)
    found = {task: _answers(rows) for task, rows in plain.items()}
    if everything and lm.tokenizer.chat_template:
        chat = _samples(lm, tasks, include_path, limit, shots, apply_chat_template=True)
        found |= {f"{task}, chat": _answers(rows) for task, rows in chat.items()}
    prompts = [str(sample["arguments"][0][0]) for sample in plain[tasks[0]][:8]]
    texts = [" ".join(prompts), *prompts]
    if everything:
        whole = [Instance("loglikelihood_rolling", {}, (text,), i) for i, text in enumerate(texts)]
        found["rolling"] = [[value, True] for value in lm.loglikelihood_rolling(whole)]
    # Long enough that prefix caches, whose blocks have up to 128 tokens, hold what these contexts share.
    head = " ".join(texts[:1] * (1 + 160 // len(texts[0].split())))
    pairs = [(f"{head} {prompt}", f" {prompts[-1 - i]}") for i, prompt in enumerate(prompts)]
    requests = [Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(pairs)]
    found["contexts with a long beginning in common"] = [list(answer) for answer in lm.loglikelihood(requests)]
    for name, options in WRITTEN.items() if everything else [(GREEDY, WRITTEN[GREEDY])]:
        found[name] = _write(lm, prompts, options)
    return {"answers": found, "drawn": _write(lm, [prompts[0]] * DRAWS, DRAWN) if everything else []}


def _write(lm: Any, prompts: Sequence[str], options: dict[str, Any]) -> list[str]:
    from lm_eval.api.instance import Instance

    # A copy each: HFLM takes out of them what it has read.
    requests = [Instance("generate_until", {}, (prompt, dict(options)), i) for i, prompt in enumerate(prompts)]
    return list(lm.generate_until(requests))


def _samples(
    lm: Any, tasks: Sequence[str], include_path: str | None, limit: int | None, shots: int | None, **more: Any
) -> dict[str, list[dict[str, Any]]]:
    from lm_eval import simple_evaluate

    manager = known_tasks(include_path)
    given = {"tasks": list(tasks), "num_fewshot": shots, "limit": limit, "task_manager": manager, **more}
    samples = simple_evaluate(model=lm, bootstrap_iters=0, **given)["samples"]
    return {task: sorted(rows, key=lambda row: int(row["doc_id"])) for task, rows in samples.items()}


def _answers(rows: Sequence[dict[str, Any]]) -> list[Any]:
    return [answer for row in rows for (answer,) in row["resps"]]


@cache
def known_tasks(include_path: str | None) -> Any:
    """Return the tasks of a folder, or else all of lm-eval's, which takes seconds to read."""
    from lm_eval.tasks import TaskManager

    return TaskManager(include_path=include_path, include_defaults=include_path is None)


@dataclass
class Compared:
    """What differs between a program's answers and the expected ones.

    Attributes:
        requests: Answers compared, draws not among them.
        nats: Largest difference of a log-likelihood.
        likeliest: Answers that differ in whether all tokens are the likeliest ones.
        texts: Texts that differ.
        p: Smallest p-value of the tests whether tokens were drawn from the same distribution (chi-squared, for each
            rank); None where none was drawn.
        where: The first section and rank with another text or token, for the message.
    """

    requests: int = 0
    nats: float = 0.0
    likeliest: int = 0
    texts: int = 0
    p: float | None = None
    where: str = ""

    def add(self, section: str, rank: int, right: Any, mine: Any) -> None:
        """Compare one answer."""
        self.requests += 1
        if isinstance(right, str):
            differs = right != mine
            self.texts += differs
        else:
            self.nats = max(self.nats, abs(right[0] - mine[0]))
            differs = right[1] != mine[1]
            self.likeliest += differs
        if differs:
            self.where = self.where or f"{section} at rank {rank}: {right!r}, here {mine!r}"


def compare(expected: Sequence[Any], found: Sequence[Any]) -> Compared:
    """Compare all that a program was asked under one rule with what was expected of the same ranks."""
    said = Compared()
    right_at = {each["rank"]: each for each in expected}
    for ours in found:
        theirs = right_at[ours["rank"]]
        for section, answers in ours["answers"].items():
            for right, mine in zip(theirs["answers"][section], answers, strict=True):
                said.add(section, ours["rank"], right, mine)
        if ours["drawn"]:
            p = same_distribution(theirs["drawn"], ours["drawn"])
            said.p = p if said.p is None else min(said.p, p)
    return said


def same_distribution(a: Sequence[str], b: Sequence[str]) -> float:
    """Return the p-value of a chi-squared test whether two lists were drawn from one distribution.

    Rare texts count as one, since the test wants at least five expected draws in a cell.

    Example:
        >>> same_distribution(["x", "y"] * 50, ["x", "y"] * 50)
        1.0
    """
    from scipy.stats import chi2_contingency

    both = Counter(a) + Counter(b)
    common = [text for text, count in both.items() if count >= 10]
    table = [[Counter(texts)[text] for text in common] for texts in (a, b)]
    if sum(both.values()) - sum(map(sum, table)) >= 10:
        table = [[*row, len(texts) - sum(row)] for row, texts in zip(table, (a, b), strict=True)]
    return float(chi2_contingency(table).pvalue) if len(table[0]) > 1 else 1.0
