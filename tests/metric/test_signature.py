from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurac import __version__
from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import AuracError
from aurac.signature import Signature, curve_signature, documents_hash

parts = st.dictionaries(st.text(), st.text(), max_size=6)
CURVE = RankAccuracyCurve.from_scores(
    [1, 2],
    [[0, 1], [1, 1]],
    documents=["arc/a/p", "arc/b/p"],
    task="arc_challenge",
    task_version="1.0",
    metric="acc_norm",
    num_fewshot=25,
)


@given(parts, parts)
def test_what_is_printed_is_read_back_whatever_the_names(score: dict[str, str], inference: dict[str, str]) -> None:
    signature = Signature(score, inference)
    assert Signature.parse(str(signature)) == signature
    assert "\n" not in str(signature)


@given(st.text(), st.text())
def test_short_lines_are_read_back_too(task: str, metric: str) -> None:
    signature = Signature({"axis": "log2", "task": task, "metric": metric}, {"ci": "t95"})
    assert Signature.parse(signature.short()) == signature


def test_a_full_line_names_everything_that_moves_the_number() -> None:
    line = str(Signature(curve_signature(CURVE, axis="log2", rule="trapezoid", extras={"within": "1-2"})))
    docs = documents_hash(["arc/b/p", "arc/a/p"])
    assert line == (
        "AURAC|axis:log2|rule:trap|ranks:1-2|metric:acc_norm|task:arc_challenge@1.0|shots:25|n:2|"
        f"docs:{docs}|seeds:1|agg:none|norm:none|miss:error|within:1-2|version:{__version__}"
    )


def test_a_bare_curve_leaves_out_what_it_does_not_know() -> None:
    keys = list(curve_signature(RankAccuracyCurve([64], [0.5]), axis="linear", rule="left"))
    assert keys == ["axis", "rule", "ranks", "seeds", "agg", "norm", "miss", "version"]


def test_the_documents_hash_ignores_order_and_sees_prompts() -> None:
    # sha256 of "a\nb" begins with these digits (printf 'a\nb' | sha256sum)
    assert documents_hash(["b", "a"]) == documents_hash(["a", "b"]) == "7e18f737"
    assert documents_hash(["a", "c"]) != documents_hash(["a", "b"])


def test_scores_are_comparable_when_only_seeds_version_within_a_major_and_inference_differ() -> None:
    a = Signature({"axis": "log2", "seeds": "1", "version": "0.1.0"}, {"ci": "t95"})
    b = Signature({"axis": "log2", "seeds": "3", "version": "0.9.0"}, {"ci": "wilson95"})
    assert a.differences(b) == {}


def test_differences_name_the_keys_and_both_values() -> None:
    a = Signature({"axis": "log2", "n": "8", "version": "0.1.0"})
    b = Signature({"axis": "linear", "within": "1-2", "version": "1.0.0"})
    assert a.differences(b) == {
        "axis": ("log2", "linear"),
        "n": ("8", None),
        "version": ("0.1.0", "1.0.0"),
        "within": (None, "1-2"),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is no signature: it does not start with AURAC|"),
        ("BLEU|nrefs:1", "does not start with AURAC|. Copy the whole line"),
        ("AURAC|axis", "'axis' in the signature is not key:value"),
    ],
)
def test_a_line_that_is_no_signature_is_said_so(text: str, message: str) -> None:
    with pytest.raises(AuracError, match=message):
        Signature.parse(text)
