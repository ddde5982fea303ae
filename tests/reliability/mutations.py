"""Seeded damage: to bytes, to JSON values, to the header of a safetensors file."""

from __future__ import annotations

import json
import random
import struct
from typing import Any

NASTY: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 4, 2**31, 2**63, 2**64, 10**400, -(10**30), 0.5, -0.0, 1e308, 1e-320),
    *(float("nan"), float("inf"), "", "LORA", "..", "../../etc/passwd", "/dev/zero", "\x00", "\x1b[2J", "a" * 5000),
    *("=cmd|' /C calc'!A0", "<script>", "\\input{x}", "F32", "F8_E4M3", "I64", "BOOL", "C64", "F4", "(", "["),
    *(r"(\w|\.)*!", r"(.*)*!", r"(\w+\.?)+!", "q_proj", "all-linear", "eva", "pissa_niter_4", "\ud800"),
    *([], [[]], {}, {"": 1}, {"a": {"b": {}}}, [0, 10**12], [10**15, 0], [2**63, 2**63], [-1, 4], [4, "8"], [1] * 50),
)  # fmt: skip


def mutate_bytes(data: bytes, rng: random.Random) -> bytes:
    """Flip, cut, insert, repeat or overwrite, once or a few times."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        place = rng.randrange(len(out) + 1) if out else 0
        length = rng.choice((1, 2, 4, 8, 64))
        kind = rng.randrange(6)
        if kind == 0 and out:
            out[place % len(out)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del out[place:]
        elif kind == 2:
            out[place:place] = rng.randbytes(length)
        elif kind == 3:
            out[place : place + length] = rng.choice((b"\x00", b"\xff", b"\x7f", b'"', b"{")) * length
        elif kind == 4:
            out[place:place] = out[place : place + 64]
        else:
            del out[place : place + length]
    return bytes(out)


def mutate_json(value: Any, rng: random.Random) -> Any:
    """Return a copy in which a value somewhere was replaced, removed, added or moved."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        copy = dict(value)
        key = rng.choice(list(copy))
        kind = rng.randrange(8)
        if kind == 0:
            del copy[key]
        elif kind == 1:
            copy[_text(rng)] = copy[key]
        elif kind == 2:
            copy[key] = copy[rng.choice(list(copy))]
        else:
            copy[key] = mutate_json(copy[key], rng)
        return copy
    if isinstance(value, list) and value and rng.random() < 0.7:
        copied = list(value)
        place = rng.randrange(len(copied))
        if rng.random() < 0.3:
            del copied[place]
        else:
            copied[place] = mutate_json(copied[place], rng)
        return copied
    return rng.choice(NASTY)


def mutate_text(text: bytes, rng: random.Random) -> bytes:
    """Damage a JSON file: mostly its values, sometimes its bytes."""
    if rng.random() < 0.25:
        return mutate_bytes(text, rng)
    value = json.loads(text)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        value = mutate_json(value, rng)
    return json.dumps(value).encode()


def mutate_safetensors(data: bytes, rng: random.Random) -> bytes:
    """Damage the header (length, names, types, shapes, offsets) or the bytes of the tensors."""
    kind = rng.random()
    if kind < 0.3:
        return mutate_bytes(data, rng)
    (length,) = struct.unpack("<Q", data[:8])
    header, tensors = json.loads(data[8 : 8 + length]), data[8 + length :]
    if kind < 0.4:
        claimed = rng.choice((0, 1, length - 1, length + 1, len(data), 10**8, 10**12, 2**63, 2**64 - 1))
        return struct.pack("<Q", claimed) + data[8:]
    if kind < 0.55:
        tensors = mutate_bytes(tensors, rng)
    else:
        header = mutate_json(header, rng)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + tensors


def _text(rng: random.Random) -> str:
    return rng.choice([text for text in NASTY if isinstance(text, str)])
