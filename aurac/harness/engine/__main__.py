"""lm-eval's own command line with the model `aurac` registered: `python -m aurac.harness.engine run ...`."""

from __future__ import annotations

from lm_eval.__main__ import cli_evaluate

import aurac.harness.engine.lm  # noqa: F401  (registers the model)

if __name__ == "__main__":
    cli_evaluate()
