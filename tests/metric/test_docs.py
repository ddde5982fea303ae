"""What docs/metric.md shows is what is printed."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

from aurac.analysis.costs import COSTS
from aurac.quadrature import AXES, RULES, rule_named
from aurac.statistics.refused import REFUSED

PAGE = (Path(__file__).parents[2] / "docs" / "metric.md").read_text()


def test_the_first_example_prints_what_stands_below_it() -> None:
    code, shown = re.findall(r"```(?:python)?\n(.*?)```", PAGE, flags=re.DOTALL)[:2]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {})
    assert printed.getvalue() == shown


def test_every_rule_axis_and_refusal_has_its_row() -> None:
    assert set(re.findall(r"^\| `([a-z]+)`", PAGE, flags=re.MULTILINE)) >= set(RULES)
    rows = [line.replace(" (default)", "") for line in PAGE.splitlines()]
    for rule in map(rule_named, RULES):
        assert f"| `{rule.name}` | {rule.formula} | {rule.when} |" in rows
    for name, counts in {name: entry.counts for table in (AXES, COSTS) for name, entry in table.items()}.items():
        assert f"| `{name}` | {counts} |" in rows
    section = PAGE[PAGE.index("### Refused") :]
    named = re.findall(r"`([a-z-]+)`[,.]", section[: section.index("## The signature")])
    assert sorted(named) == sorted(REFUSED)
