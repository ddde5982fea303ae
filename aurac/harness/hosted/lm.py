"""An lm-eval model whose prompts are HFLM's to the token and whose answers come from elsewhere."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import configure_pad_token, handle_stop_sequences, postprocess_generated_text
from lm_eval.models.utils import resolve_max_length as window_of
from transformers import GenerationConfig

from aurac.errors import TaskError
from aurac.harness.engine.greedy import cut_text, no_room, prompt_tokens
from aurac.harness.engine.queries import Query, UnscorableRequestError, queries_of, rolling_queries
from aurac.harness.hosted.decoding import Decoding, make_decoding
from aurac.harness.hosted.work import HostedWork
from aurac.harness.opening import Base

Answer = tuple[float, bool]
Made = TypeVar("Made")


class HostedLM(HFLM):  # type: ignore[misc]
    """HFLM without a model: it makes the same token rows, and a subclass has them answered.

    Args:
        base: The base model; its weights are not read.
        max_length: Tokens that the model reads; None for what its configuration says.
    """

    def __init__(self, base: Base, *, max_length: int | None = None) -> None:
        LM.__init__(self)
        self._model, self._config, self._device = None, base.config, None
        self.tokenizer = configure_pad_token(base.tokenizer, model_config=base.config)
        self.vocab_size = self.tokenizer.vocab_size
        self.backend, self.truncation, self.add_bos_token = "causal", False, None
        self.custom_prefix_token_id = self.think_end_token = self.enable_thinking = None
        self.chat_template_args: dict[str, Any] = {}
        self.pretrained, self.batch_size_per_gpu = base.name, 1
        self._rank, self._world_size = 0, 1
        self._max_length = max_length or int(window_of(base.config, self.tokenizer, default=self._DEFAULT_MAX_LENGTH))
        self.settings = _generation_config(base)
        self.work = HostedWork()
        self._made: dict[Any, Any] = {}

    @abstractmethod
    def score(self, queries: Sequence[Query]) -> Iterator[tuple[int, Answer]]:
        """Yield (place in `queries`, (log-probability, is greedy)) in any order; the queries are all different."""

    @abstractmethod
    def write(self, prompts: Sequence[Sequence[int]], decoding: Decoding) -> Iterator[tuple[int, list[int] | str]]:
        """Yield (place in `prompts`, tokens or text) in any order; tokens may reach beyond where the text ends."""

    def reset_work(self) -> HostedWork:
        """Return the work report since the last reset, and start a new one."""
        done, self.work = self.work, HostedWork()
        return done

    def get_model_info(self) -> dict[str, Any]:
        """Return nothing: there is no model here to count."""
        return {}

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = True) -> list[Answer]:
        """Return (log-probability, is greedy) of each request's continuation, as `HFLM.loglikelihood` does."""
        pairs = [request.args for request in requests]
        queries = self._kept(("loglikelihood", *pairs), lambda: queries_of(self, pairs))
        return self._answer(queries, lambda i, found: self.cache_hook.add_partial("loglikelihood", pairs[i], found))

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = True) -> list[float]:
        """Return the log-probability of each whole text, in disjoint windows of `max_length` tokens, as HFLM does."""
        texts = [request.args[0] for request in requests]
        owners, queries = self._kept(("rolling", *texts), lambda: rolling_queries(self, texts))
        totals = [0.0] * len(texts)
        for owner, (value, _) in zip(owners, self._answer(queries, lambda *_: None), strict=True):
            totals[owner] += value
        for text, total in zip(texts, totals, strict=True):
            self.cache_hook.add_partial("loglikelihood_rolling", (text,), total)
        return totals

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = True) -> list[str]:
        """Return the text written after each prompt, cut as HFLM cuts it."""
        groups: dict[str, list[int]] = {}
        for i, request in enumerate(requests):
            groups.setdefault(repr(request.args[1]), []).append(i)
        texts = [""] * len(requests)
        for members in groups.values():
            for i, text in self._write_all([requests[j].args[0] for j in members], requests[members[0]].args[1]):
                texts[members[i]] = text
                self.cache_hook.add_partial("generate_until", requests[members[i]].args, text)
        return texts

    def _answer(self, queries: Sequence[Query], report: Callable[[int, Answer], None]) -> list[Answer]:
        places: dict[tuple[bytes, bytes], list[int]] = {}
        for i, query in enumerate(queries):
            places.setdefault((query.tokens.tobytes(), query.targets.tobytes()), []).append(i)
        same = list(places.values())
        self.work.requests += len(queries)
        self.work.truncated += sum(query.truncated for query in queries)
        answers: list[Answer] = [(0.0, False)] * len(queries)
        for number, found in self.score([queries[members[0]] for members in same]):
            for i in same[number]:
                answers[i] = found
                report(i, found)
        return answers

    def _write_all(self, prompts: Sequence[str], options: dict[str, Any]) -> Iterator[tuple[int, str]]:
        decoding = make_decoding(
            options, self.settings, default_most=self.max_gen_toks, eos=self.tokenizer.eos_token_id
        )
        if decoding.most >= self.max_length:
            raise TaskError(no_room(decoding.most, self.max_length, "a request"))
        room = self.max_length - decoding.most
        rows = self._kept(("prompts", *prompts), lambda: [self._prompt(prompt) for prompt in prompts])
        places: dict[Any, list[int]] = {}
        for i, row in enumerate(rows):  # equal prompts have equal texts, unless these are drawn
            places.setdefault(i if decoding.sampled else tuple(row), []).append(i)
        same = list(places.values())
        self.work.requests += len(prompts)
        self.work.truncated += sum(len(row) > room for row in rows)
        eos = self.tok_decode([self.eot_token_id], skip_special_tokens=False)
        until = handle_stop_sequences(list(decoding.until), eos=eos)
        for number, found in self.write([rows[members[0]][-room:] for members in same], decoding):
            text = (
                cut_text(self, found, until)
                if isinstance(found, list)
                else postprocess_generated_text(self._as_decoded(found), until, None)
            )
            for i in same[number]:
                yield i, text

    def _prompt(self, prompt: str) -> list[int]:
        tokens = [int(token) for token in prompt_tokens(self, prompt)]
        if not tokens:
            raise UnscorableRequestError("a prompt has no tokens to generate after. Give the task a prompt.")
        return tokens

    def _as_decoded(self, text: str) -> str:
        """Return a server's text as our tokenizer begins one: many drop the blank of the first token."""
        last = self.tokenizer("a a", add_special_tokens=False)["input_ids"][-1]
        return text if self.tokenizer.decode([last]).startswith(" ") else text.removeprefix(" ")

    def _kept(self, key: tuple[Any, ...], make: Callable[[], Made]) -> Made:
        """Return what was made of a list of requests at the first rank."""
        if key not in self._made:
            self._made[key] = make()
        made: Made = self._made[key]
        return made


def _generation_config(base: Base) -> GenerationConfig:
    """Return the model's generation_config, as `from_pretrained` finds it: its file, else what the config says."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return GenerationConfig.from_pretrained(base.name)
        except OSError:
            return GenerationConfig.from_model_config(base.config)
