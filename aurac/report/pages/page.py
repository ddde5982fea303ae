"""A page of headings, paragraphs, tables and pictures, as Markdown or as one HTML file."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aurac.errors import UnknownNameError
from aurac.report.formats import html, markdown
from aurac.report.formats.html import escape
from aurac.report.table import Table


@dataclass(frozen=True)
class Heading:
    """A heading of level 1 or 2."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """Text without markup."""

    text: str


@dataclass(frozen=True)
class Picture:
    """A picture: its file's name, what it shows, and how it is written to a path."""

    name: str
    alt: str
    write: Callable[[Path], None]


Block = Heading | Paragraph | Table | Picture
PICTURES = "plots"
"""Folder of the pictures, beside a Markdown page."""
_STYLE = """\
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
figure { margin: 1.5rem 0; overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }
th:first-child { text-align: left; }
figcaption { font-size: 12px; color: #555; max-width: 60rem; overflow-wrap: anywhere; }
img { max-width: 100%; }"""


def write_page(blocks: Sequence[Block], path: Path) -> None:
    """Write a page; the ending of the path (.md, .html) says as what.

    Pictures of a Markdown page are written to `plots/` beside it; an HTML page holds them itself.

    Raises:
        UnknownNameError: For another ending.
    """
    check_page(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_WRITERS[path.suffix.lower()](blocks, path.parent), encoding="utf-8")


def check_page(path: Path) -> None:
    """Raise `UnknownNameError` when a page cannot be written under this name; called before the work starts."""
    if path.suffix.lower() not in _WRITERS:
        raise UnknownNameError("kind of page", path.suffix, _WRITERS)


def _markdown(blocks: Sequence[Block], folder: Path) -> str:
    return "\n".join(_markdown_block(block, folder) for block in blocks)


def _markdown_block(block: Block, folder: Path) -> str:
    if isinstance(block, Table):
        return markdown.render_table(block)
    if isinstance(block, Picture):
        block.write(folder / PICTURES / block.name)
        return f"![{markdown.escape(block.alt)}]({PICTURES}/{block.name})\n"
    text = markdown.escape(block.text)
    return f"{'#' * block.level} {text}\n" if isinstance(block, Heading) else f"{text}\n"


def _html(blocks: Sequence[Block], folder: Path) -> str:
    title = next((block.text for block in blocks if isinstance(block, Heading)), "aurac")
    body = "\n".join(_html_block(block, folder) for block in blocks)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width">\n<style>\n{_STYLE}\n</style>\n</head>\n'
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _html_block(block: Block, folder: Path) -> str:
    if isinstance(block, Table):
        return html.render_table(block)
    if isinstance(block, Picture):
        return f'<p><img alt="{escape(block.alt)}" src="data:image/png;base64,{_encoded(block, folder)}"></p>'
    tag = f"h{block.level}" if isinstance(block, Heading) else "p"
    return f"<{tag}>{escape(block.text)}</{tag}>"


def _encoded(picture: Picture, folder: Path) -> str:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(dir=folder) as place:
        file = Path(place) / picture.name
        picture.write(file)
        return base64.b64encode(file.read_bytes()).decode()


_WRITERS: dict[str, Callable[[Sequence[Block], Path], str]] = {".md": _markdown, ".html": _html}
