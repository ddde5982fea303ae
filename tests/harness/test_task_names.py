"""A typo in a task name is found in the text of the task files, without lm-eval's catalogue and without torch."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from aurac.errors import UnknownNameError
from aurac.harness.protocols import parse_tasks
from aurac.harness.task_names import check_names


def test_a_typo_is_refused_with_the_near_name() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown task 'arc_chalenge'. Did you mean 'arc_challenge'"):
        check_names(parse_tasks("arc_chalenge@0"))


@pytest.mark.parametrize("tasks", ["arc,hellaswag,mmlu,winogrande,gsm8k", "arc_easy", "ai2_arc", "leaderboard"])
def test_tasks_groups_and_tags_pass(tasks: str) -> None:
    check_names(parse_tasks(tasks))


@pytest.mark.parametrize(
    "text", ["task: task_of_nobody\n", "group: many\ntask:\n  - task_of_nobody\n", '{"task": "task_of_nobody"}']
)
def test_own_tasks_pass_with_their_folder_only(text: str, tmp_path: Path) -> None:
    (tmp_path / "file.yaml").write_text(text)
    check_names(parse_tasks("task_of_nobody"), include_path=tmp_path)
    with pytest.raises(UnknownNameError, match=r"unknown task 'task_of_nobody'.*--include-path"):
        check_names(parse_tasks("task_of_nobody"))


def test_who_gives_a_folder_of_tasks_is_not_told_to_give_one(tmp_path: Path) -> None:
    (tmp_path / "file.yaml").write_text("task: task_of_mine\n")
    said = rf"unknown task 'task_of_mime'. Did you mean 'task_of_mine'.* No file in {re.escape(str(tmp_path))} "
    with pytest.raises(UnknownNameError, match=said) as refused:
        check_names(parse_tasks("task_of_mime"), include_path=tmp_path)
    assert "give --include-path" not in str(refused.value)


def test_nothing_heavy_is_imported_before_a_typo_is_found(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom aurac.cli import main\n"
        f"code = main(['score', {str(tmp_path)!r}, '--tasks', 'arc_chalenge'])\n"
        "print(code, sorted({'torch', 'transformers', 'lm_eval', 'datasets', 'peft'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[-2] == "1 []"
    assert "unknown task 'arc_chalenge'" in done.stderr
