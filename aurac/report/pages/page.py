"""A page of headings, paragraphs, tables and pictures, as Markdown or as one HTML file."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

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
    """Text without markup; the verdict of a page is set larger."""

    text: str
    verdict: bool = False


@dataclass(frozen=True)
class Picture:
    """A picture: its file's name, what it shows, and how it is written to a path."""

    name: str
    alt: str
    write: Callable[[Path], None]


@dataclass(frozen=True)
class Explorer:
    """A picture that can be explored where scripts run: `still` elsewhere, `data` for `assets/explorer.js`."""

    still: Picture
    data: Callable[[], dict[str, Any]]


@dataclass(frozen=True)
class Folded:
    """Blocks that are read on demand, behind a summary of one line; a heading in Markdown."""

    summary: str
    blocks: tuple[Block, ...]


Block = Heading | Paragraph | Table | Picture | Explorer | Folded
PICTURES = "plots"
"""Folder of the pictures, beside a Markdown page."""


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


def page_text(blocks: Sequence[Block]) -> str:
    """Return an HTML page that may be put anywhere, and therefore leads to no file."""
    return _html(blocks, None)


def _markdown(blocks: Sequence[Block], folder: Path) -> str:
    return "\n".join(_markdown_block(block, folder) for block in blocks)


def _markdown_block(block: Block, folder: Path) -> str:
    if isinstance(block, Table):
        return markdown.render_table(block, folder=folder)
    if isinstance(block, Folded):
        return _markdown((Heading(block.summary, level=3), *block.blocks), folder)
    if isinstance(block, Explorer):
        return _markdown_block(block.still, folder)
    if isinstance(block, Picture):
        block.write(folder / PICTURES / block.name)
        return f"![{markdown.escape(block.alt)}]({PICTURES}/{block.name})\n"
    text = markdown.escape(block.text)
    return f"{'#' * block.level} {text}\n" if isinstance(block, Heading) else f"{text}\n"


def _html(blocks: Sequence[Block], folder: Path | None) -> str:
    title = next((block.text for block in blocks if isinstance(block, Heading)), "aurac")
    body = "\n".join(_html_block(block, folder) for block in blocks)
    scripts = "\n".join(f"<script>{_asset(name)}</script>" for name in ("sortable.min.js", "explorer.js"))
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width">\n<style>\n{_asset("page.css")}</style>\n</head>\n'
        f"<body>\n{body}\n{scripts}\n</body>\n</html>\n"
    )


def _html_block(block: Block, folder: Path | None) -> str:
    if isinstance(block, Table):
        return html.render_table(block, sortable=True, folder=folder)
    if isinstance(block, Picture):
        return f"<p>{_image(block, folder)}</p>"
    if isinstance(block, Explorer):
        still = f'<p class="still">{_image(block.still, folder)}</p>'
        data = f'<script type="application/json">{_json(block.data())}</script>'
        return f'<figure class="explorer">\n{still}\n{data}\n</figure>'
    if isinstance(block, Folded):
        inner = "\n".join(_html_block(one, folder) for one in block.blocks)
        return f"<details>\n<summary>{escape(block.summary)}</summary>\n{inner}\n</details>"
    if isinstance(block, Heading):
        return f"<h{block.level}>{escape(block.text)}</h{block.level}>"
    opening = '<p class="verdict">' if block.verdict else "<p>"
    return f"{opening}{escape(block.text)}</p>"


def _image(picture: Picture, folder: Path | None) -> str:
    return f'<img alt="{escape(picture.alt)}" src="data:image/png;base64,{_encoded(picture, folder)}">'


def _json(data: Any) -> str:
    """Return JSON that may stand inside a `script` element: names from files could close it."""
    return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _asset(name: str) -> str:
    return (files("aurac.report.pages") / "assets" / name).read_text(encoding="utf-8")


def _encoded(picture: Picture, folder: Path | None) -> str:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(dir=folder) as place:
        file = Path(place) / picture.name
        picture.write(file)
        return base64.b64encode(file.read_bytes()).decode()


_WRITERS: dict[str, Callable[[Sequence[Block], Path], str]] = {".md": _markdown, ".html": _html}
