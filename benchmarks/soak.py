"""Inject every fault that the tests know, also the slow ones, and count what survived: one line for each promise.

    python benchmarks/soak.py                      # about 15 minutes on two cores

What is promised, and what is not: docs/reliability.md. Exit status 1 if anything was lost or let in.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROMISES = {
    "interrupted runs resume to the same record": ("reliability/test_interruptions.py",),
    "records cannot lie": ("reliability/test_records_cannot_lie.py", "results/test_damaged_records.py"),
    "strangers' files do no harm": (
        "reliability/test_strangers_files.py",
        "reliability/test_names_are_harmless.py",
        "reliability/test_command_line_output.py",
    ),
    "memory and NaN cost no sweep": ("reliability/test_memory_and_numbers.py",),
    "the same command, the same bytes": ("reliability/test_determinism.py",),
    "every error line is tested": ("reliability/test_every_error_line.py",),
}
"""Promise -> files of tests that do the damage."""


@dataclass(frozen=True)
class Count:
    """What came of the tests of a promise.

    Attributes:
        injected: Faults; a test that counts none is one.
        survived: Faults of the tests that passed.
        lost: Documents that were measured, written, and had to be measured again.
        skipped: Tests that this machine does not allow.
        seconds: Wall-clock time.
    """

    injected: int
    survived: int
    lost: int
    skipped: int
    seconds: float

    @property
    def sound(self) -> bool:
        """Whether every fault was survived and nothing was lost."""
        return self.survived == self.injected > 0 and self.lost == 0

    def __str__(self) -> str:
        skipped = f", {self.skipped} tests skipped" if self.skipped else ""
        return (
            f"{self.injected} faults injected, {self.survived} survived, {self.lost} documents lost"
            f"{skipped} ({self.seconds:.0f} s)"
        )


def soak(files: tuple[str, ...]) -> Count:
    """Run the tests in these files, the slow ones too."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        options = ["-m", "slow or not slow", "-q", "-o", "junit_family=xunit1", f"--junitxml={report}"]
        command = [sys.executable, "-m", "pytest", *options]
        subprocess.run([*command, *(str(ROOT / "tests" / file) for file in files)], cwd=ROOT, stdout=sys.stderr)
        return count(ElementTree.parse(report).getroot())


def count(report: ElementTree.Element) -> Count:
    """Add up a report of pytest in JUnit's format."""
    total: Counter[str] = Counter()
    for test in report.iter("testcase"):
        if test.find("skipped") is not None:
            total["skipped"] += 1
            continue
        noted: Counter[str] = Counter()
        for note in test.iter("property"):
            noted[note.attrib["name"]] += int(note.attrib["value"])
        faults = noted["faults"] or 1
        passed = test.find("failure") is None and test.find("error") is None
        total.update(injected=faults, survived=faults if passed else 0, lost=noted["documents lost"])
    seconds = sum(float(suite.attrib["time"]) for suite in report.iter("testsuite"))
    return Count(total["injected"], total["survived"], total["lost"], total["skipped"], seconds)


def main() -> int:
    """Keep every promise, or say which one was broken."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    status = 0
    for number, (promise, files) in enumerate(PROMISES.items(), start=1):
        found = soak(files)
        print(f"{number} {promise}: {found}{'' if found.sound else '  BROKEN'}", flush=True)
        status |= not found.sound
    return status


if __name__ == "__main__":
    sys.exit(main())
