"""How the engines that answer elsewhere are tried: three ranks of an adapter on the embedded tasks."""

from __future__ import annotations

from typing import Any

from aurac import testbed

RANKS = (1, 3, 4)
OPTIONS: dict[str, Any] = {
    "include_path": str(testbed.TASKS),
    "limit": 4,
    "ranks": RANKS,
    "dtype": "float32",
    "progress": False,
}
