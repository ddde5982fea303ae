"""Names in the cards of slices, merged and converted models are text, whatever they hold."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from aurac_adapters import Lora, export_slice, read_adapter
from aurac_adapters.export.cards import Origin, converted_card, merged_card
from test_slices import Make

NASTY = [
    '"); __import__("os").system("id") #',
    "a\n```\n# Owned\n---\nlicense: mit\n---\n",
    "`</code><script>alert(1)</script>",
    "a | b | [x](javascript:alert(1)) ![y](z)",
    "\u202egnp.exe\udcff",
    "caf\u00e9 {rank} \\",
]


def card_of_slice(folder: Path, base: str, out: Path) -> str:
    return (export_slice(folder, 3, out.with_name(out.name.replace("\udcff", "")), base=base) / "README.md").read_text(
        encoding="utf-8"
    )


def card_of_merged(folder: Path, base: str, out: Path) -> str:
    return merged_card(Origin(read_adapter(folder), 3, "prefix"), base, dtype="float32", out=out)


def card_of_converted(_: Path, base: str, out: Path) -> str:
    checkpoint = out.with_suffix(".pt")
    checkpoint.write_bytes(b"x")
    return converted_card(checkpoint, "made by another program", Lora(max_rank=4), base)


@pytest.mark.parametrize("make", [card_of_slice, card_of_merged, card_of_converted])
@pytest.mark.parametrize("name", NASTY, ids=ascii)
def test_names_in_cards_are_text(
    name: str, make: Callable[[Path, str, Path], str], make_foreign: Make, tmp_path: Path
) -> None:
    file_name = name.replace("/", "-").replace("\n", "\n ")
    folder = make_foreign(file_name.replace("\udcff", ""))  # safetensors opens no file whose name is no UTF-8
    text, usual = make(folder, name, tmp_path / f"out {file_name}"), make(folder, "some/model", tmp_path / "plain")
    assert text.encode()
    assert headings(text) == headings(usual)
    assert tags(text) == tags(usual) == []
    card = ModelCard(text)
    assert set(card.data.to_dict()) == set(ModelCard(usual).data.to_dict())
    assert card.data.base_model == name
    for code in re.findall(r"```python\n(.*?)```\n", text, flags=re.DOTALL):
        calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
        assert {ast.unparse(call.func).rpartition(".")[2] for call in calls} == {"from_pretrained"}
        literals = {node.value for call in calls for node in call.args if isinstance(node, ast.Constant)}
        assert {plain(str(text)) for text in literals} <= {plain(name), plain(f"out {file_name}")}
        assert literals


def plain(text: str) -> str:
    return text.replace("\udcff", "")


class Collect(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.found.append(tag)


def headings(text: str) -> int:
    return len(re.findall(r"^(#|```|---)", text, flags=re.MULTILINE))


def tags(text: str) -> list[str]:
    parser = Collect()
    parser.feed(re.sub(r"```.*?```|\A---.*?\n---\n", "", text, flags=re.DOTALL))
    return parser.found
