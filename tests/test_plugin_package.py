"""A package of someone else, installed as users install one, from training to comparison."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aurac import testbed
from tolerance import near

PACKAGE = Path(__file__).parent / "plugin_package"
Done = subprocess.CompletedProcess[str]
RUN = "import sys; from aurac.cli import main; sys.exit(main(sys.argv[1:]))"
STORY = """
import sys
from aurac.cli import main
out, model, data, tasks = sys.argv[1:]
for seed in ("1", "2"):
    assert main(["train", "--method", "decay", "--decay", "0.75", "--seed", seed, "--model", model, "--data", data,
                 "--rank", "4", "--max-steps", "2", "--batch-size", "4", "--out", f"{out}/seed-{seed}"]) == 0
    assert main(["score", f"{out}/seed-{seed}", "--tasks", "tilt", "--include-path", tasks, "--limit", "8",
                 "--rule", "rising", "--axis", "sqrt", "--out", f"{out}/run-{seed}"]) == 0
print("compared:")
assert main(["compare", f"{out}/run-1", f"{out}/run-2", "--rule", "rising", "--axis", "sqrt", "--format", "tsv"]) == 0
"""


def python(packages: Path | None, code: str, *arguments: str | Path) -> Done:
    paths = [str(packages), *sys.path] if packages else sys.path
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "COLUMNS": "100"}
    command = [sys.executable, "-W", "ignore::FutureWarning", "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package, put there by pip without a network."""
    source, target = tmp_path_factory.mktemp("source") / "package", tmp_path_factory.mktemp("site")
    shutil.copytree(PACKAGE, source)  # a build leaves files beside what it builds
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(source)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="module")
def story(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """Two trainings with the package's method, scored and compared with its rule, axis and format."""
    out = tmp_path_factory.mktemp("story")
    done = python(installed, STORY, out, testbed.MODEL, testbed.TRAIN, testbed.TASKS)
    assert done.returncode == 0, done.stderr
    return out, done


def test_a_method_of_another_package_is_trained_with_its_field(story: tuple[Path, Done]) -> None:
    sidecar = json.loads((story[0] / "seed-1" / "aurac_adapter.json").read_text())
    assert (sidecar["method"], sidecar["decay"], sidecar["package"]) == ("decay", 0.75, "aurac-example")


def test_a_score_has_its_rule_and_axis_in_the_signature(story: tuple[Path, Done]) -> None:
    scored, compared = story[1].stdout.split("compared:\n")
    assert "rising" in scored
    assert "sqrt" in scored
    header, *rows = [line.split("\t") for line in compared.splitlines()]
    assert header[0] == "run"
    assert {row[0].split()[0] for row in rows if len(row) == len(header)} >= {"run-1", "run-2"}


def test_the_weights_are_those_of_the_package_s_rule(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "curve.csv").write_text("rank,accuracy\n1,0.2\n4,0.4\n16,0.9\n")
    options = ("--rule", "rising", "--axis", "sqrt", "--format", "json")
    done = python(installed, RUN, "compute", tmp_path / "curve.csv", *options)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["value"] == near((1 * 0.2 + 2 * 0.4 + 3 * 0.9) / 6)


def test_help_knows_the_names_and_near_ones_are_suggested(installed: Path) -> None:
    help_of_train = python(installed, RUN, "train", "--help").stdout
    assert "learned-matryoshka,decay}" in help_of_train
    assert "--decay" in help_of_train
    assert "rising" in python(installed, RUN, "compute", "--help").stdout
    wrong = python(installed, RUN, "train", "--method", "decey", "--model", "m", "--data", "d", "--out", "o")
    assert wrong.returncode == 2
    assert "decay" in wrong.stderr.splitlines()[-1]


def test_a_folder_says_which_package_its_method_needs_when_that_is_gone(story: tuple[Path, Done]) -> None:
    done = python(None, RUN, "info", story[0] / "seed-1")
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "unknown adapter method 'decay'" in line
    assert line.endswith("The folder says that it is of the package aurac-example; install it if you trust it.")


def test_a_broken_package_is_one_true_line_and_other_methods_go_on(installed: Path, tmp_path: Path) -> None:
    shutil.copytree(installed, tmp_path / "site")
    (tmp_path / "site" / "aurac_example" / "methods.py").write_text("import no_such_module\n")
    done = python(tmp_path / "site", RUN, "train", "--help")
    assert done.returncode == 0
    assert done.stderr == (
        "warning: the adapter method 'decay' of the package aurac-example cannot be imported (ModuleNotFoundError: No "
        "module named 'no_such_module'). Repair or uninstall the package.\n"
    )
    assert "decay" not in done.stdout
    assert python(tmp_path / "site", RUN, "compute", "--help").stderr == ""
