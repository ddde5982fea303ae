"""The experiment trackers that transformers knows."""

from __future__ import annotations

from collections.abc import Iterable

from aurac.errors import TrainingError, UnknownNameError

_NOT_TOLD = ("azure_ml", "flyte")
"""Trackers of which transformers does not always say whether they are installed."""


def check_trackers(names: Iterable[str]) -> None:
    """Check that transformers can report to these trackers.

    Raises:
        UnknownNameError: For a name that transformers does not know.
        TrainingError: For a tracker that is not installed.
    """
    from transformers.integrations import integration_utils

    installed = {*integration_utils.get_available_reporting_integrations(), *_NOT_TOLD}
    for name in names:
        if name not in integration_utils.INTEGRATION_TO_CALLBACK:
            raise UnknownNameError("tracker", name, integration_utils.INTEGRATION_TO_CALLBACK)
        if name not in installed:
            raise TrainingError(
                f"the tracker {name} is not installed. Install its library, or leave it out of report_to; losses are "
                "written to training.json in any case."
            )
