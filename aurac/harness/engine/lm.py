"""The engine as an lm-eval model: HFLM with its scoring and generation replaced, everything else inherited."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from lm_eval.api.registry import register_model
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs
from tqdm import tqdm

from aurac.errors import TaskError
from aurac.harness.engine.batches import automatic_budget
from aurac.harness.engine.capability import COSTS, Capability, Level, counts_keys, inspect_model
from aurac.harness.engine.fallback import Method, by_hflm
from aurac.harness.engine.forward import make_forward, masks_allowed
from aurac.harness.engine.generate import generate
from aurac.harness.engine.greedy import cut_text, no_room, not_greedy, prompt_queries, prompt_tokens
from aurac.harness.engine.plan import Plan, make_plan
from aurac.harness.engine.processes import Processes, current_processes
from aurac.harness.engine.queries import Query, check_ids, queries_of, rolling_queries
from aurac.harness.engine.score import Answers, score
from aurac.harness.engine.stopping import make_stop
from aurac.harness.engine.trial import NotNumbersError, try_out
from aurac.harness.engine.work import Work
from aurac.harness.model import tied_as_it_is
from aurac.harness.quiet import building

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance

Made = TypeVar("Made")


@register_model("aurac")
class AuracLM(HFLM):  # type: ignore[misc]
    """HFLM's answers with each distinct token prefix forwarded once.

    Takes HFLM's arguments. `batch_size="auto"` fills batches by tokens and halves them when memory runs out; an
    integer is the number of documents (not of choices) per batch. Keys, values and logits never outlive a call, so
    the adapter may change its rank between calls; the plan of the calls (tokens, shared prefixes) is kept for each
    list of requests.

    Args:
        *args: See `HFLM`.
        token_budget: Token positions per batch to start with; None chooses by device.
        bars: Whether calls show progress bars of their own.
        **kwargs: See `HFLM`. For the fallback, `softmax_dtype` is float32 and `logits_cache` False if not given.

    Example::

        lm = AuracLM(pretrained=model, tokenizer=tokenizer, batch_size="auto")
        for rank in (1, 2, 4):
            adapter.set_rank(rank)
            lm.loglikelihood(requests)  # planned at the first rank only
        lm.reset_work().tokens_over_limit  # 1.0 would be the limit
    """

    def __init__(self, *args: Any, token_budget: int | None = None, bars: bool = True, **kwargs: Any) -> None:
        with tied_as_it_is(args[0] if args else kwargs.get("pretrained")):
            super().__init__(*args, **({"softmax_dtype": "float32", "logits_cache": False} | kwargs))
        self.bars = bars
        self.profiled = False  # by the sweep, on a GPU
        self.work = Work()
        self._plans: dict[Any, Any] = {}
        self._capability: Capability | None = None
        self._told: set[str] = set()
        self._tried = 0  # the longest sequence that was tried out
        rows = self.batch_size if isinstance(self.batch_size, int) else None
        vocabulary = self.model.get_input_embeddings().weight.shape[0]
        budget = int(token_budget) if token_budget is not None else None
        self._budget = automatic_budget(self.device, rows=rows, vocabulary=vocabulary, tokens=budget)

    @property
    def rank(self) -> int:
        """Always 0: lm-eval builds the requests of one process, and the engine divides them (see `processes`)."""
        return 0

    @property
    def world_size(self) -> int:
        """Always 1, for the same reason."""
        return 1

    @property
    def capability(self) -> Capability:
        """How this model is driven; tried out on first use, and said once if it is not the fast way."""
        if self._capability is None:
            with self.work.phase("trial"):
                found = inspect_model(self)
            if found.provisional:
                return found
            self._capability = found
            self._tell("for this model", found.reason, found.level)
        return self._capability

    def _tell(self, where: str, reason: str | None, level: Level = "rows") -> None:
        if reason is not None and reason not in self._told:
            self._told.add(reason)
            warnings.warn(f"slower path {where}: {reason}. {COSTS[level]}", stacklevel=4)

    def reset_work(self) -> Work:
        """Return the work report since the last reset, summed over all processes, and start a new one."""
        total = Work()
        for work in current_processes().gather(self.work):
            total.add(work)
        self.work = Work()
        return total

    def forget_plans(self) -> None:
        """Drop the plans of earlier requests, for instance between sweeps over different tasks."""
        self._plans.clear()

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Return (log-probability, is greedy) of each request's continuation, as `HFLM.loglikelihood` does."""
        if self.enable_thinking or self.capability.level == "hflm":
            scored: list[tuple[float, bool]] = self._by_hflm("loglikelihood", requests, disable_tqdm)
            return scored
        pairs = [request.args for request in requests]
        plan = self._planned(("loglikelihood", *pairs), lambda: self._plan(queries_of(self, pairs)))
        asked = plan.requests_of_slots()

        def report(answers: Answers, slots: list[int]) -> int:
            done = [i for slot in slots for i in asked[slot]]
            for i in done:
                self.cache_hook.add_partial("loglikelihood", pairs[i], answers[plan.slots[i]])
            return len(done)

        answers = self._score(plan, len(pairs), disable_tqdm, report)
        return [answers[slot] for slot in plan.slots]

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Return the log-probability of each whole text, in disjoint windows of `max_length` tokens, as HFLM does."""
        if self.capability.level == "hflm":
            read: list[float] = self._by_hflm("loglikelihood_rolling", requests, disable_tqdm)
            return read
        texts = [request.args[0] for request in requests]
        owners, plan = self._planned(("rolling", *texts), lambda: self._plan_windows(texts))
        asked = plan.requests_of_slots()
        answers = self._score(plan, len(owners), disable_tqdm, lambda _, slots: sum(len(asked[slot]) for slot in slots))
        totals = np.bincount(owners, weights=answers.total[list(plan.slots)], minlength=len(texts))
        for text, total in zip(texts, totals.tolist(), strict=True):
            self.cache_hook.add_partial("loglikelihood_rolling", (text,), total)
        return list(totals.tolist())

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Return the text generated after each prompt; what is not plain greedy decoding goes HFLM's own way."""
        groups: dict[str, list[int]] = {}
        for i, request in enumerate(requests):
            groups.setdefault(repr(request.args[1]), []).append(i)
        found: list[str] = [""] * len(requests)
        for members in groups.values():
            mine = [requests[i] for i in members]
            reason = self.capability.reason or not_greedy(self, mine[0].args[1])
            if reason is None:
                texts = self._generate_all(mine, disable_tqdm)
            else:
                texts = self._by_hflm("generate_until", mine, disable_tqdm, reason=reason)
            for i, text in zip(members, texts, strict=True):
                found[i] = text
        return found

    def _generate_all(self, requests: list[Instance], disable_tqdm: bool) -> list[str]:
        """Generate greedily; prompts that come too near to the length where attention changes go HFLM's own way."""
        options, limit = requests[0].args[1], self.capability.limit
        most = normalize_gen_kwargs(options, self.max_gen_toks)["max_gen_toks"]
        if most >= self.max_length:
            raise TaskError(no_room(most, self.max_length, "a request"))
        if limit is None:
            return self._generate(requests, disable_tqdm)
        prompts = [request.args[0] for request in requests]
        room = limit.tokens - most
        beyond = self._planned(
            ("beyond", most, *prompts),
            lambda: [min(len(prompt_tokens(self, p)), self.max_length - most) > room for p in prompts],
        )
        short = [request for request, is_long in zip(requests, beyond, strict=True) if not is_long]
        long = [request for request, is_long in zip(requests, beyond, strict=True) if is_long]
        texts = iter(self._generate(short, disable_tqdm) if short else [])
        others: Iterator[str] = iter(())
        if long:
            self._tell(f"for {len(long)} of {len(requests)} requests, which are longer", limit.reason, "hflm")
            others = iter(self._by_hflm("generate_until", long, disable_tqdm, reason=limit.reason))
        return [next(others) if is_long else next(texts) for is_long in beyond]

    def _plan(self, queries: Sequence[Query]) -> Plan:
        check_ids(queries, self._budget.vocabulary)
        found = self.capability
        if found.level != "shared":
            return make_plan(queries, share=False)
        plan = make_plan(queries, most=found.limit.tokens if found.limit else None, room=found.room)
        if (reason := self._differs(plan, queries)) is not None:
            self._capability = replace(found, level="rows", reason=reason)
            self._tell("for this model", reason)
            return make_plan(queries, share=False)
        return plan

    def _differs(self, plan: Plan, queries: Sequence[Query]) -> str | None:
        """Try out the longest document too, where a short one does not show what the attention depends on."""
        if not counts_keys(self):
            return None
        limit = self.capability.limit
        of_slot = dict(zip(plan.slots, queries, strict=True))
        by_size = [sorted((of_slot[slot] for slot in d.slots), key=lambda q: -len(q.tokens)) for d in plan.documents]
        within = [d for d in by_size if limit is None or len(d[0].tokens) <= limit.tokens]
        longest = sorted(within, key=lambda d: -len(d[0].tokens))[:2]
        size = len(longest[0][0].tokens) if longest else 0
        if size <= self._tried:
            return None
        asked = [query for document in longest for query in document[:2]]
        self._tried = size
        try:
            with self.work.phase("trial"):
                reason = try_out(self, asked, share=True)
        except NotNumbersError:  # at this rank
            self._tried = 0
            return None
        return None if reason is None else f"the longest requests ({size} tokens): {reason}"

    def _plan_windows(self, texts: Sequence[str]) -> tuple[list[int], Plan]:
        """Cut texts as HFLM does; return the text that each window belongs to, and the plan of all windows."""
        owners, queries = rolling_queries(self, texts)
        return owners, self._plan(queries)

    def _leave(self, some: int, requests: int) -> None:
        """Record and say that some of the requests take a slower path."""
        found = self.capability
        reason = found.reason or (found.limit.reason if found.limit and some else None)
        self.work.fallback = self.work.fallback or reason
        self._tell(f"for {some} of {requests} requests, which are longer", reason)
        if reason is not None and current_processes().index == 0:
            self.work.fallback_requests += some

    def _planned(self, key: tuple[Any, ...], make: Callable[[], Made]) -> Made:
        """Return the plan for a list of requests, made on first sight and kept for the ranks to come."""
        with self.work.phase("plan"):
            if key not in self._plans:
                self._plans[key] = make()
            made: Made = self._plans[key]
            return made

    def _score(
        self, plan: Plan, requests: int, disable_tqdm: bool, report: Callable[[Answers, list[int]], int]
    ) -> Answers:
        processes = current_processes()
        self._count(plan, requests, processes)
        self._leave(plan.alone, requests)
        with self._bar(requests, processes, disable_tqdm) as bar, masks_allowed(self.model):
            forward = make_forward(self, self.work)
            mine = score(
                plan,
                forward,
                budget=self._budget,
                processes=processes,
                progress=lambda answers, slots: bar.update(report(answers, slots)),
            )
        answers = Answers.empty(plan.queries)
        for part in processes.gather(mine):
            answers.merge(part)
        return answers

    def _generate(self, requests: list[Instance], disable_tqdm: bool) -> list[str]:
        options = requests[0].args[1]
        kwargs = normalize_gen_kwargs(options, self.max_gen_toks)
        until = handle_stop_sequences(
            kwargs["until"], eos=self.tok_decode(self.eot_token_id, skip_special_tokens=False)
        )
        prompts = [request.args[0] for request in requests]
        most = kwargs["max_gen_toks"]
        plan = self._planned(
            ("generate", most, *prompts),
            lambda: make_plan(prompt_queries(self, prompts, self.max_length - most), pack=False),
        )
        processes = current_processes()
        self._count(plan, len(prompts), processes)
        asked = plan.requests_of_slots()
        stop = make_stop(self, until=until, most=most)
        with self._bar(len(prompts), processes, disable_tqdm) as bar, masks_allowed(self.model):

            def report(rows: dict[int, list[int]], slots: list[int]) -> None:
                for slot in slots:
                    for i in asked[slot]:
                        text = cut_text(self, rows[slot], until)
                        self.cache_hook.add_partial("generate_until", (prompts[i], options), text)
                        bar.update()

            forward = make_forward(self, self.work)
            mine = generate(plan, forward, stop=stop, budget=self._budget, processes=processes, progress=report)
        rows = {slot: row for part in processes.gather(mine) for slot, row in part.items()}
        return [cut_text(self, rows[slot], until) for slot in plan.slots]

    def _bar(self, requests: int, processes: Processes, disable_tqdm: bool) -> Any:
        """A bar over this process's part of the requests, shown by the first process."""
        total = -(-requests // processes.count)
        hidden = disable_tqdm or not self.bars or processes.index != 0
        return tqdm(total=total, disable=hidden, desc="Answering requests")

    def _count(self, plan: Plan, requests: int, processes: Processes) -> None:
        """Count what the plan says; the first process does, so that the sum over processes is right."""
        self.work.token_budget = self._budget.tokens
        if processes.index == 0:
            self.work.requests += requests
            self.work.truncated += plan.truncated
            self.work.distinct_prefix_tokens += plan.distinct_tokens
            self.work.tokens_one_by_one += plan.tokens_one_by_one

    def _by_hflm(
        self, method: Method, requests: list[Instance], disable_tqdm: bool, *, reason: str | None = None
    ) -> Any:
        why = reason or self.capability.reason
        self._tell(f"for {len(requests)} requests", why, "hflm")
        return by_hflm(self, method, requests, budget=self._budget, reason=why, disable_tqdm=disable_tqdm)


def sweep_engine(
    model: Any, tokenizer: Any, *, batch_size: int | str = "auto", max_length: int | None = None
) -> AuracLM:
    """Return the engine around a loaded model, without bars of its own: what the sweep uses.

    Args:
        model: The model, with or without an adapter, on its device.
        tokenizer: Its tokenizer.
        batch_size: "auto", or documents at a time.
        max_length: Tokens that the model reads; None for what its configuration says.
    """
    with building():
        return AuracLM(pretrained=model, tokenizer=tokenizer, batch_size=batch_size, max_length=max_length, bars=False)
