"""Score an adapter at every sub-rank with lm-eval: curve, AURAC ± error, record, plot.

Examples:
  aurac score my-adapter --tasks arc,hellaswag
  aurac score my-adapter --tasks arc_challenge@0:acc,gsm8k --ranks 4,16,64 --limit 100
  aurac score my-adapter --tasks arc --budgets 0.1,0.25,0.5,1
  aurac score my-adapter --tasks my_task --include-path my_tasks/ --out runs/my-adapter
  aurac score my-adapter --tasks hellaswag --precision 2 --out runs/within-2-points
  aurac score my-adapter --tasks gsm8k --apply-chat-template --system-instruction "Answer briefly."

ADAPTER_DIR is any PEFT LoRA folder, or a folder of LoRAs that were trained for one rank each (rank-1, rank-2, ...).
TASKS are lm-eval's names of tasks, groups and tags, or the short names of the protocol (arc, hellaswag, mmlu,
winogrande, gsm8k); TASK@SHOTS:METRIC overrides shots and metric. The same command goes on where it was interrupted;
more tasks or ranks extend the record. A budget is a share of the adapter's parameters, or a number of them; how it is
shared out over the layers is what `aurac rotate --allocate` wrote into the folder, else the same rank in all.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from aurac.analysis.cost_axes import check_profiled
from aurac.analysis.settings import Settings
from aurac.analysis.time_spent import time_spent
from aurac.cli.flags import add_flags, given
from aurac.cli.options import add_integration, integration
from aurac.report.formats import FORMATS
from aurac.report.time_spent import time_text
from aurac.results import Run
from aurac.workflows.options import ScoreOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; the options of the scoring come from their dataclass."""
    parser.add_argument("adapter", metavar="ADAPTER_DIR", help="a PEFT LoRA folder, made by this project or not")
    add_flags(parser, ScoreOptions)
    add_integration(parser)
    parser.add_argument("--format", choices=tuple(FORMATS), default="terminal", help="default: terminal")


def run(args: argparse.Namespace) -> int:
    """Score, print, plot; 1 if a cell failed."""
    from aurac.workflows.sweep import nested_folder, score_folder

    options = ScoreOptions(**given(args, ScoreOptions))
    check_profiled(Settings(**integration(args)).axis, options.out or Path(args.adapter) / nested_folder(options))
    record = score_folder(args.adapter, options)
    if record is None:  # another process writes and prints
        return 0
    started = time.perf_counter()
    print(report(record, args), end="")
    if options.profile:
        print(time_text(time_spent(record.record).and_("tables and plots", started)), file=sys.stderr)
    for failure in record.failures:
        print(f"failed: {failure['task']} at rank {failure['rank']}: {failure.get('error')}", file=sys.stderr)
    for name, problem in record.problems.items():
        print(f"no curve for {name}: {problem}", file=sys.stderr)
    return 1 if record.failures or record.problems else 0


def report(record: Run, args: argparse.Namespace) -> str:
    """Write the plots into the record's folder and return the tables."""
    from aurac.report.comparison import compare
    from aurac.report.pages.comparison import printed
    from aurac.report.plots.curves import save_curves

    if not record.tasks:
        return ""
    assert record.path is not None
    comparison = compare([record], **integration(args))
    plots, axis = (record.path / "curves.png", record.path / "curves.pdf"), comparison.settings.axis
    save_curves([record], *plots, tasks=record.tasks, axis=axis)
    print(f"{record.path}: the record, curves.png and curves.pdf", file=sys.stderr)
    return printed(comparison, args.format, record.name)
