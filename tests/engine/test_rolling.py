"""Whole texts (bits per byte, perplexity) have HFLM's log-likelihoods."""

from __future__ import annotations

from lm_eval.models.huggingface import HFLM

from aurac.harness.engine.lm import AuracLM
from engine_cases import WINDOW, rolling
from tolerance import same_log_likelihoods

TEXTS = [
    "the cat sat on the mat",
    "x",
    "one two three\n" * 40,
    "the cat sat on the dog",
    "z" * (WINDOW + 1),
    "z" * WINDOW,
]


def test_texts_have_hflms_log_likelihoods(lms: tuple[AuracLM, HFLM]) -> None:
    asked = [rolling(text) for text in TEXTS]
    found = lms[0].loglikelihood_rolling(asked, disable_tqdm=True)
    assert found == same_log_likelihoods(lms[1].loglikelihood_rolling(asked, disable_tqdm=True))


def test_an_empty_text_has_log_likelihood_zero(lms: tuple[AuracLM, HFLM]) -> None:
    asked = [rolling(""), rolling("the cat")]
    found = lms[0].loglikelihood_rolling(asked, disable_tqdm=True)
    assert found == same_log_likelihoods(lms[1].loglikelihood_rolling(asked, disable_tqdm=True))
    assert found[0] == 0.0


def test_logits_are_computed_at_every_different_position_once(lms: tuple[AuracLM, HFLM]) -> None:
    lms[0].loglikelihood_rolling([rolling("z" * 10), rolling("z" * 10), rolling("z" * 7 + "q")], disable_tqdm=True)
    work = lms[0].reset_work()
    # Inputs: <s> z*9 (10 positions) and <s> z*7, whose 8 positions are among them.
    assert work.rows_projected == work.rows_asked == work.distinct_prefix_tokens == 10
