"""Write a model card for the Hugging Face hub: curve, AURAC ± error, the rank to serve, how to load it.

Examples:
  aurac card my-adapter
  aurac card my-adapter --record runs/my-adapter --out cards/my-adapter/README.md
  aurac card my-adapter --push me/my-adapter

The adapter must have been scored. The front matter has a model-index that the hub reads, and .eval_results/aurac.yaml
has the scores at full rank of tasks whose documents are on the hub. A license or language in the front matter stays
when the card is written again. --push uploads the folder with card, plot and record, without checkpoints and
training.json; a record names the folders of the adapter and of the base model on this machine.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from aurac.cli.options import fraction, margin
from aurac.errors import AuracError, RecordError
from aurac.results import Run

if TYPE_CHECKING:
    from aurac.report.pages.model_card import Subject
    from aurac_adapters import AdapterFolder


_FUNCTION = ("method", "max_rank", "scaling", "gain")
"""What of an adapter's identity makes another function of the same weights; the inference rule is said by the card."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("adapter", metavar="ADAPTER_DIR", help="a PEFT LoRA folder, made by this project or not")
    parser.add_argument("--record", metavar="RUN", help="its run record (default: the one inside ADAPTER_DIR)")
    parser.add_argument("--out", metavar="FILE", type=Path, help="the card (default: ADAPTER_DIR/README.md)")
    parser.add_argument("--overwrite", action="store_true", help="replace a README that this command did not write")
    parser.add_argument(
        "--margin",
        type=margin,
        default=1.0,
        metavar="POINTS",
        help="largest acceptable loss of the recommended rank in points (default: 1.0)",
    )
    parser.add_argument(
        "--alpha", type=fraction, default=0.05, metavar="P", help="chance of naming an inadequate rank (default: 0.05)"
    )
    parser.add_argument("--push", metavar="REPO_ID", help="upload ADAPTER_DIR to this repository of the hub")


def run(args: argparse.Namespace) -> int:
    """Write the card and its plot, upload them where that is asked, and print where they are."""
    from aurac_adapters.folder.sidecar import check_folder

    check_folder(Path(args.adapter))  # before PyTorch is imported
    from aurac.analysis.adapter_size import size
    from aurac.report.pages.eval_results import write_eval_results
    from aurac.report.pages.model_card import PLOT, model_card
    from aurac.report.pages.publishing import push, read_front_matter, write_card
    from aurac.report.plots.curves import save_curves
    from aurac.results import load, read_profile
    from aurac_adapters import read_adapter

    folder = Path(args.adapter)
    out = args.out or folder / "README.md"
    if args.push and args.out is not None:
        raise AuracError("--push uploads ADAPTER_DIR with its README.md. Leave --out away.")
    kept = read_front_matter(out, overwrite=args.overwrite)
    adapter, record = read_adapter(folder), load(args.record or folder)
    _check_same(adapter, record)
    found = size(record)
    text = model_card(
        _subject(adapter, args.push),
        record,
        margin=args.margin / 100,
        alpha=args.alpha,
        size=None if found is None else (found.parameters, found.bytes),
        profile=read_profile(record),
        kept=kept,
    )
    save_curves([record], out.parent / PLOT, tasks=record.tasks)
    write_card(out, text)
    write_eval_results(record, out.parent)
    print(out)
    if args.push:
        print(push(folder, args.push))
    return 0


def _subject(adapter: AdapterFolder, repo_id: str | None) -> Subject:
    from aurac.report.pages.model_card import Subject

    name = adapter.path.resolve().name
    return Subject(
        name=repo_id.rpartition("/")[2] if repo_id else name,
        repo_id=repo_id,
        base=adapter.base_model,
        method=adapter.method.name,
        max_rank=adapter.method.max_rank,
        note=" ".join([adapter.scaling_note, *(f"({note.rstrip('.')})" for note in adapter.notes)]),
    )


def _check_same(adapter: AdapterFolder, record: Run) -> None:
    """Raise `RecordError` unless the record is of these weights, used with these factors."""
    recorded = record.record["identity"].get("adapter", {})
    if recorded.get("sha256") != adapter.sha256:
        raise RecordError(
            f"{record.path} is the record of the adapter {str(recorded.get('sha256'))[:12]}, and {adapter.path} is "
            f"{adapter.sha256[:12]} (sha256 of the weights). Score this adapter, or give its record with --record."
        )
    mine = adapter.method.to_dict()
    if differing := [key for key in _FUNCTION if key in recorded and recorded[key] != mine[key]]:
        key = differing[0]
        raise RecordError(
            f"{record.path} was measured with {key} {recorded[key]}, and {adapter.path} says {mine[key]}: the same "
            "weights, but another function. Score this adapter, or give its record with --record."
        )
