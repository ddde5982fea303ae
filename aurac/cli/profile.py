"""Measure what each rank of an adapter costs: size, prefill and decode time, memory; attached and merged.

Examples:
  aurac profile my-adapter
  aurac profile my-adapter --ranks 8,64,256 --prompt-tokens 2048 --batch-size 8
  aurac profile my-adapter --out runs/my-adapter --format json

At rank r only the first r rows are computed, as a server does it: every rank is a slice of its own, loaded by plain
PEFT. The ranks alternate, so that a machine that becomes warm favours none. The result is profile.json in the record's
folder; `aurac recommend` and `aurac plot pareto --cost` read it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from aurac.cli.options import positive, rank_list
from aurac.errors import ModelError
from aurac.report.formats import FORMATS
from aurac.results import Profile
from aurac.results.files import NESTED

if TYPE_CHECKING:
    from aurac_adapters import AdapterFolder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("adapter", metavar="ADAPTER_DIR", help="a PEFT LoRA folder, made by this project or not")
    parser.add_argument(
        "--base", metavar="MODEL", help="base model: folder or hub name (default: what the adapter names)"
    )
    parser.add_argument(
        "--out", metavar="RECORD", type=Path, help=f"folder for profile.json (default: ADAPTER_DIR/{NESTED})"
    )
    parser.add_argument("--ranks", type=rank_list, metavar="1,2,...", help="default: powers of two up to R, and R")
    parser.add_argument("--prompt-tokens", type=positive, default=512, metavar="N", help="default: 512")
    parser.add_argument("--new-tokens", type=positive, default=32, metavar="N", help="default: 32")
    parser.add_argument("--batch-size", type=positive, default=1, metavar="N", help="prompts at a time (default: 1)")
    parser.add_argument("--repeats", type=positive, default=5, metavar="N", help="medians over so many (default: 5)")
    parser.add_argument("--device", help="cpu, cuda, cuda:1 ... (default: cuda where there is one)")
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16", "float16"), default="auto",
                        help="of the base model (default: auto, what its config says)")  # fmt: skip
    parser.add_argument("--trust-remote-code", action="store_true", help="run code that comes with the base model")
    parser.add_argument("--format", choices=tuple(FORMATS), default="terminal", help="default: terminal")


def run(args: argparse.Namespace) -> int:
    """Measure, write, print."""
    from aurac_adapters.folder.sidecar import check_folder

    check_folder(Path(args.adapter))  # before PyTorch is imported
    from aurac.report.costs import Costs
    from aurac.report.pages.comparison import printed
    from aurac.results.profile import check_profile_folder, write_profile
    from aurac_adapters import read_adapter

    adapter = read_adapter(args.adapter)
    out = args.out or Path(args.adapter) / NESTED
    check_profile_folder(out, adapter.sha256)
    profile = measure(adapter, args)
    write_profile(out, profile)
    title = f"{Path(args.adapter).resolve().name}: cost of each rank"
    print(printed(Costs(profile, title), args.format, title), end="")
    return 0


def measure(adapter: AdapterFolder, args: argparse.Namespace) -> Profile:
    """Cut a slice for every rank, load them side by side, and measure."""
    from aurac.analysis.adapter_size import WEIGHTS, size_of_file
    from aurac.harness.identity import base_identity, hardware, versions
    from aurac.harness.model import load_base, load_config, resolve_dtype
    from aurac.harness.profiling import Workload, measure_costs
    from aurac.harness.sliced_model import SlicedModel
    from aurac.harness.sweep import check_ranks
    from aurac.ranks import default_ranks
    from aurac.results.profile import ProfileRow
    from aurac_adapters import export_slice

    max_rank = adapter.method.max_rank
    ranks = default_ranks(max_rank) if args.ranks is None else check_ranks(args.ranks, max_rank)
    base = args.base or adapter.base_model
    if base is None:
        raise ModelError(f"{adapter.path} does not name its base model. Give it with --base.")
    config = load_config(base, trust_remote_code=args.trust_remote_code)
    dtype = resolve_dtype(base, args.dtype, config=config)
    with TemporaryDirectory(prefix="aurac-slices-") as temporary:
        slices = {rank: export_slice(adapter.path, rank, Path(temporary, str(rank))) for rank in ranks}
        sizes = {rank: size_of_file(folder / WEIGHTS) for rank, folder in slices.items()}
        model = load_base(base, dtype, args.device, trust_remote_code=args.trust_remote_code, config=config)[0]
        sliced = SlicedModel(model, slices)
    workload = Workload(args.prompt_tokens, args.new_tokens, args.batch_size, args.repeats)
    costs = measure_costs(sliced, workload)
    return Profile(
        adapter={"sha256": adapter.sha256, "method": adapter.method.name, "max_rank": max_rank},
        base=base_identity(base),
        settings={**vars(workload), "dtype": dtype, "adapter_dtype": sliced.adapter_dtype},
        hardware=hardware(sliced.device),
        versions=versions(),
        rows=tuple(ProfileRow(rank, sizes[rank].parameters, sizes[rank].bytes, *costs[rank]) for rank in ranks),
    )
