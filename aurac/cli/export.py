"""Export a run: every score as Parquet or CSV, lm-eval's own files, or a record of Every Eval Ever.

Examples:
  aurac export runs/mine --format parquet --out mine.parquet
  aurac export runs/mine --format csv --out mine.csv
  aurac export runs/mine --format lm-eval --out lm-eval/
  aurac export runs/mine --format eee --out mine.json

parquet, csv: one row for each task, rank, document, filter and metric. lm-eval: a folder a rank with results_*.json and
samples_*.jsonl, without the texts of documents and answers, which a record does not keep. eee: the scores at each rank
and AURAC, with their uncertainty, in version 0.3.0 of the schema of Every Eval Ever. Nothing is overwritten.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from aurac.registry import Registry

FORMATS = Registry(
    "export format",
    {
        "parquet": "aurac.results.long_table:write_parquet",
        "csv": "aurac.results.long_table:write_csv",
        "lm-eval": "aurac.harness.exchange.lm_eval_export:write_lm_eval",
        "eee": "aurac.report.every_eval:write_every_eval",
    },
    group="aurac.export_formats",
)
"""Name -> function (run, path) that writes it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("record", metavar="RUN", help="folder of a run record, or of a scored adapter")
    parser.add_argument("--format", choices=tuple(FORMATS), required=True, help="what to write")
    parser.add_argument(
        "--out", metavar="FILE", type=Path, required=True, help="where to; a new file, or a new folder for lm-eval"
    )


def run(args: argparse.Namespace) -> int:
    """Write, and print where."""
    from aurac.results import load

    FORMATS[args.format](load(args.record), args.out)
    print(args.out)
    return 0
