"""`import aurac` and the metric without documents load none of the libraries that take seconds."""

from __future__ import annotations

import subprocess
import sys
import textwrap

HEAVY = ("torch", "transformers", "peft", "lm_eval", "pandas", "matplotlib", "datasets", "pyarrow", "scipy")


def loaded_by(code: str) -> list[str]:
    check = f"{textwrap.dedent(code)}\nimport sys\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_importing_the_package_loads_no_heavy_library() -> None:
    assert loaded_by("import aurac") == []


def test_importing_every_room_of_the_metric_loads_no_heavy_library() -> None:
    rooms = [
        "quadrature",
        "curve.curve",
        "curve.files",
        "signature",
        "analysis.sources",
        "analysis.compute",
        "registry",
        "errors",
        "statistics",
        "results",
    ]
    assert loaded_by("\n".join(f"import aurac.{room}" for room in rooms)) == []


def test_a_score_without_documents_needs_numpy_only() -> None:
    assert loaded_by("import aurac; aurac.compute({1: 0.25, 2: 0.5}); aurac.weights([1, 2])") == []


def test_an_interval_needs_scipys_special_functions_but_not_its_distributions() -> None:
    code = """
    import aurac
    aurac.compute(aurac.RankAccuracyCurve.from_scores([1, 2], [[0, 1], [1, 1]]))
    import sys
    assert "scipy.stats" not in sys.modules
    """
    assert loaded_by(code) == ["scipy"]
