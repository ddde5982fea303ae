"""Recipes of two steps on the embedded model, and how tests change them."""

from __future__ import annotations

from pathlib import Path

from aurac import testbed

TWO_STEPS = f"""\
[training]
max_steps = 2
batch_size = 4
gradient_accumulation = 1

[scoring]
include_path = "{testbed.TASKS}"
limit = 4
batch_size = 16
"""
SMALL = f"""
models = ["{testbed.MODEL}"]
ranks = [2]
seeds = [1, 2]

{TWO_STEPS}
[suites]
small = "tilt,cipher"

[data.mixture]
source = "{testbed.TRAIN}"

[methods.lora]
scaling = "one"
learning_rate = [1e-4, 5e-2]

[methods.svd-lora]

[methods.matryoshka]
learning_rate = 1e-2
inference = ["prefix", "trained"]

[methods.grid-lora]
learning_rate = 5e-2
"""
SMALLER = """
[methods.svd-energy]
method = "svd-lora"
allocate = "energy"

[methods.squeeze-lora]
max_steps = 1
learning_rate = [1e-2, 2e-2]

[methods.gradual]
method = "squeeze-lora"
gradual = true
max_steps = 1
"""


def changed(recipe: Path, old: str, new: str) -> Path:
    text = recipe.read_text()
    assert old in text
    recipe.write_text(text.replace(old, new))
    return recipe
