"""Chat templates, system instructions and multi-turn examples: the prompts and numbers of `simple_evaluate`."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import lm_eval
import pytest
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from aurac.errors import TaskError
from aurac.harness import ENGINES
from aurac.harness.chat import Chat
from aurac.harness.judge import measure_cell
from aurac.harness.protocols import parse_tasks
from aurac.harness.suite import build_suite
from test_cells_equal_lm_eval import compare_documents

TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


@pytest.fixture
def chatty(tokenizer: Any) -> Any:
    copy = deepcopy(tokenizer)
    copy.chat_template = TEMPLATE
    return copy


@pytest.mark.parametrize("item", ["colours", "spell"])
@pytest.mark.parametrize(
    ("template", "system", "multiturn"),
    [(True, None, True), (True, "Be brief.", False), (True, "Be brief.", True), (False, "Be brief.", True)],
)
def test_prompts_and_numbers_are_those_of_simple_evaluate(
    item: str, template: bool, system: str | None, multiturn: bool,
    chatty: Any, task_folder: Path, adapter: Any,
) -> None:  # fmt: skip
    chat = Chat(template, system, multiturn, chatty if template else None)
    leaf = build_suite(parse_tasks(item), include_path=task_folder, chat=chat, limit=6, progress=False).leaves[item]
    adapter.set_rank(2)
    expected = lm_eval.simple_evaluate(
        HFLM(pretrained=adapter.model, tokenizer=chatty, batch_size=4),
        tasks=[item],
        task_manager=TaskManager(include_path=str(task_folder), include_defaults=False),
        bootstrap_iters=0,
        limit=6,
        apply_chat_template=template,
        system_instruction=system,
        fewshot_as_multiturn=multiturn and template,
    )
    engines = [engine for engine in ENGINES.values() if engine.around]
    assert len(engines) > 1
    for engine in engines:
        cell = measure_cell(engine.around(adapter.model, chatty, batch_size=4), leaf, 2)
        compare_documents(cell.columns, expected["samples"][item])
    prompt = leaf.instances[0].args[0]
    assert ("<assistant>" in prompt) == template
    assert prompt.count("<user>") == (0 if not template else 1 + (leaf.task.config.num_fewshot if multiturn else 0))
    assert ("Be brief." in prompt) == (system is not None)


def test_how_prompts_are_wrapped_is_part_of_the_run(chatty: Any) -> None:
    assert Chat().identity() == {}
    assert Chat(system_instruction="x").identity() == {"system_instruction": "x"}
    one, other = (Chat(True, None, multiturn, chatty).identity() for multiturn in (True, False))
    assert one != other
    assert len(one["chat_template_sha256"]) == 64


def test_a_tokenizer_without_a_template_is_refused(tokenizer: Any) -> None:
    with pytest.raises(TaskError, match=r"the tokenizer of '.*' has no chat template. Leave --apply-chat-template out"):
        Chat(True, tokenizer=tokenizer)


def test_a_template_of_another_name_is_refused(chatty: Any) -> None:
    with pytest.raises(TaskError, match="has one chat template, without a name, and 'tools' was asked for"):
        Chat("tools", tokenizer=chatty)
    chatty.chat_template = {"default": TEMPLATE, "tools": "{{ messages[0]['content'] }}!"}
    named = Chat("tools", tokenizer=chatty)
    assert named.options()["chat_template"]([{"role": "user", "content": "hi"}]) == "hi!"
    assert named.identity() != Chat(True, tokenizer=chatty).identity()
    with pytest.raises(TaskError, match=r"the chat template cannot be chosen: .*'tool' is not available"):
        Chat("tool", tokenizer=chatty)
