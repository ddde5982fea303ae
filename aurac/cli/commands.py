"""The table of subcommands, and the parser of the one that was asked for; the others are not even imported."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from aurac.cli.parsing import FoldedHelp, OneLineParser
from aurac.cli.spelling import flags_of
from aurac.errors import UnknownNameError

# Name -> module with add_arguments(parser) and run(args) -> int; its docstring is the help: a sentence, then the rest.
# The groups and their order are those of the help.
GROUPS = {
    "measure": {
        "score": "aurac.cli.score",
        "compute": "aurac.cli.compute",
        "recommend": "aurac.cli.recommend",
        "profile": "aurac.cli.profile",
        "power": "aurac.cli.power",
    },
    "compare": {
        "compare": "aurac.cli.compare",
        "plot": "aurac.cli.plot",
        "report": "aurac.cli.report",
        "bench": "aurac.cli.bench",
        "signature": "aurac.cli.signature",
    },
    "adapters": {
        "train": "aurac.cli.train",
        "info": "aurac.cli.info",
        "slice": "aurac.cli.slice",
        "rotate": "aurac.cli.rotate",
        "convert": "aurac.cli.convert",
        "card": "aurac.cli.card",
    },
    "more": {
        "demo": "aurac.cli.demo",
        "import": "aurac.cli.import_",
        "export": "aurac.cli.export",
    },
}
COMMANDS = {name: module for group in GROUPS.values() for name, module in group.items()}

_USAGE = "aurac [-h] [--version] COMMAND ..."
_DESCRIPTION = "Rank-accuracy curves for LoRA adapters: train, score every sub-rank, integrate, compare."
_EXAMPLES = """\
Examples:
  aurac demo
  aurac score my-adapter --tasks arc,hellaswag
  aurac compare runs/lora runs/dylora runs/matryoshka --baseline lora

aurac COMMAND --help says more, with examples that run.
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the arguments of a command line, with the command's function as `run`.

    Raises:
        SystemExit: After help or version, and with status 2 for a command line that cannot be read.
    """
    first = _FirstParser()
    name, *rest = first.parse_args(argv).command
    if name not in COMMANDS:
        first.exit(2, f"error: {UnknownNameError('command', name, COMMANDS, advice='See aurac --help.')}\n")
    module = import_module(COMMANDS[name])
    parser = command_parser(name, module)
    args = parser.parse_args(rest)
    args.run, args.flags = module.run, flags_of(parser)
    return args


def command_parser(name: str, module: Any) -> argparse.ArgumentParser:
    """Return the parser of one subcommand."""
    summary, _, epilog = (module.__doc__ or "").partition("\n\n")
    parser = OneLineParser(
        prog=f"aurac {name}",
        description=summary,
        epilog=epilog.strip(),
        formatter_class=FoldedHelp,
    )
    module.add_arguments(parser)
    return parser


class _Version(argparse.Action):
    """Print the version, which is looked up only now: reading metadata takes as long as all the rest."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print and exit."""
        from aurac import __version__

        print(f"aurac {__version__}")
        parser.exit()


class _FirstParser(OneLineParser):
    """The parser of what stands before the subcommand, with the groups of subcommands in its help."""

    options_first = True

    def __init__(self) -> None:
        super().__init__(prog="aurac", usage=_USAGE, epilog=_EXAMPLES, formatter_class=FoldedHelp)
        self.add_argument("--version", action=_Version, nargs=0, help="show program's version number and exit")
        self.add_argument("command", nargs=argparse.PARSER, metavar="COMMAND", help=argparse.SUPPRESS)

    def format_help(self) -> str:
        """Return the help; the summaries of the subcommands are read only for it."""
        groups = (f"{title}:\n" + "\n".join(map(_line, group.items())) for title, group in GROUPS.items())
        self.description = "\n\n".join([_DESCRIPTION, *groups])
        return super().format_help()


def _line(command: tuple[str, str]) -> str:
    """Return name and summary of a subcommand, as argparse lays them out."""
    name, module = command
    width = shutil.get_terminal_size().columns - 2
    summary = textwrap.wrap(_summary(module), max(width - 14, 20))
    return textwrap.indent("\n".join(summary), " " * 14).replace(" " * 14, f"  {name:12}", 1)


def _summary(module: str) -> str:
    """Return the first sentence of a module's docstring, from its source: an import would take its libraries along."""
    spec = find_spec(module)
    source = getattr(spec.loader, "get_source", lambda _: None)(module) if spec is not None else None
    return (source or "").partition('"""')[2].partition("\n\n")[0].replace("\n", " ").rstrip(".")
