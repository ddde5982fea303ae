"""What `aurac score` says of mistakes with a real server: one line that names what was wrong, and exit status 1."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from served_answers import NAME

SWAPPED = "swapped-{rank}"  # the largest rank's name stands for the smallest rank


def mistakes(url: str, other: str, ranks: Sequence[int]) -> dict[str, tuple[list[str], str]]:
    """Return what is wrong -> (options of `aurac score`, a part of what has to be said).

    Args:
        url: Of the server, up to /v1.
        other: A base model with other weights.
        ranks: The ranks that are served under `NAME`, increasing.
    """
    here, named, last = ["--url", url], ["--served-name", NAME], ranks[-1]
    missing = next(rank for rank in range(1, last) if rank not in ranks)
    return {
        "nothing listens there": (["--url", "http://127.0.0.1:9/v1", *named], "connection refused"),
        "there is no such host": (["--url", "http://nowhere.invalid/v1", *named], "cannot be reached"),
        "/v1 is missing": (["--url", url.removesuffix("/v1"), *named], "Give its address up to /v1"),
        "no address": (["--url", "localhost", *named], "is no address of a server"),
        "a rank that is not served": ([*here, *named, "--ranks", f"{missing},{last}"], f"not serve rank {missing} "),
        "names that are not served": ([*here, "--served-name", "none-{rank}"], f"none-{last}"),
        "another base model by name": ([*here, *named, "--base", other], "stands on the base model"),
        "another base model by numbers": ([*here, *named, "--base", other, "--verify"], "is another one"),
        "another rank by numbers": (
            [*here, "--served-name", SWAPPED, "--verify", "--ranks", f"{last}", "--no-base"],
            f"is not rank {last}",
        ),
        "a rank larger than the server takes": ([*here, "--load-ranks", "--ranks", f"{last},{last + 1}"], "outside"),
    }


def check_mistakes(url: str, adapter: Path, base: str, other: str, ranks: Sequence[int], rule: str) -> list[str]:
    """Make them all; returns what was not said in one line, and prints what was."""
    from aurac import testbed
    from aurac.cli import main

    wrong = []
    for number, (what, (options, part)) in enumerate(mistakes(url, other, ranks).items()):
        folder = _on_base(adapter, other, adapter.parent / "on-other") if other in options else adapter
        command = ["score", str(folder), "--tasks", "facts", "--include-path", str(testbed.TASKS)]
        command += ["--engine", "server", "--limit", "2", "--dtype", "float32", "--inference", rule, *options]
        command += [] if "--ranks" in options else ["--ranks", ",".join(map(str, ranks))]
        command += [] if "--base" in options else ["--base", base]
        with redirect_stderr(io.StringIO()) as said, redirect_stdout(said):
            status = main([*command, "--out", str(adapter.parent / f"mistake-{number}")])
        lines = [line for line in said.getvalue().splitlines() if line.startswith("error: ")]
        print(f"{what}: {' '.join(lines)}", file=sys.stderr)
        if status != 1 or len(lines) != 1 or part not in lines[0] or "Traceback" in said.getvalue():
            wrong.append(f"{what}: exit status {status}, {said.getvalue()[-500:]!r}")
    return wrong


def _on_base(adapter: Path, base: str, out: Path) -> Path:
    """Copy an adapter, and say that it belongs to another base model."""
    shutil.copytree(adapter, out, dirs_exist_ok=True)
    config = out / "adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "base_model_name_or_path": base}))
    return out
