"""What a benchmark is refused for before its first job, which would else be found out in the first scoring, or in each.

Names of tasks are known on every machine. Base models and data are looked for where the jobs run on this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aurac.base_model import check_folder, check_no_adapter
from aurac.errors import RecipeError, UnknownNameError
from aurac.workflows.bench.kinds import Study
from aurac.workflows.bench.recipe import Recipe, score_options


def check_tasks(recipe: Recipe) -> None:
    """Raise `RecipeError` for a task of a suite that no file has."""
    from aurac.harness.protocols import parse_tasks
    from aurac.harness.task_names import check_names

    for suite, tasks in recipe.suites.items():
        options = score_options(recipe.scoring, tasks=tasks)
        if options.include_path is not None and not Path(options.include_path).is_dir():
            raise RecipeError(
                f"[scoring] include_path: no such folder: {options.include_path}. Give that of your tasks."
            )
        try:
            check_names(parse_tasks(tasks, protocol=options.protocol), include_path=options.include_path)
        except UnknownNameError as exc:
            raise RecipeError(f"[suites] {suite}: {exc}") from exc


def check_sources(studies: Sequence[Study]) -> None:
    """Raise an error for base models and data that are not on this machine.

    Raises:
        ModelError: If there is no such folder of a base model, or it holds an adapter.
        DataError: If there is no such file of data.
        UnknownNameError: If there is no such set of data.
    """
    from aurac_adapters.data.dataset import check_data

    for study in studies:
        check_no_adapter(study.place)
        check_folder(study.place)
        check_data(study.data.source)
