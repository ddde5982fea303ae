"""A server on this machine, vLLM's or llama.cpp's, for as long as the script that started it lives."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from served_answers import TARGETS

ENVIRONMENT = {
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
    "VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
}
# Waits for the end of its standard input, which comes however the script ends, be it by SIGKILL; then ends the group.
_GUARD = """
import os, signal, sys
sys.stdin.read()
try:
    os.killpg(int(sys.argv[1]), signal.SIGKILL)
except ProcessLookupError:
    pass
"""


Served = tuple[str, int]  # address, up to /v1, and process


@contextmanager
def vllm(base: str, max_length: int, rank: int, named: Mapping[str, Path], log: Path) -> Iterator[Served]:
    """Have vLLM serve a base model.

    Args:
        base: Base model.
        max_length: Tokens that the model is to read.
        rank: The largest rank of a LoRA.
        named: Name -> folder of LoRAs that are served from the start.
        log: File for what it prints.
    """
    port = _free_port()
    command = ["-m", "vllm.entrypoints.openai.api_server", "--model", base, "--dtype", "float32"]
    command += ["--enforce-eager", "--enable-lora", "--max-lora-rank", str(rank), "--max-loras", "4"]
    command += ["--max-model-len", str(max_length + 2), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--lora-modules", *(f"{name}={path}" for name, path in named.items())]
    command += ["--lora-target-modules", *TARGETS]
    with _running(command, port, log) as served:
        yield served


@contextmanager
def llamacpp(base: str, max_length: int, named: Mapping[str, Path], log: Path) -> Iterator[Served]:
    """Have llama.cpp serve a base model; arguments as for `vllm`, and all LoRAs are served from the start."""
    from served_gguf import write_base, write_lora

    folder, port = log.parent / "gguf", _free_port()
    folder.mkdir(exist_ok=True)
    files = [write_lora(path, Path(base), folder / f"{name}.gguf") for name, path in named.items()]
    files.insert(0, write_base(Path(base), folder / "base.gguf"))
    script = str(Path(__file__).with_name("served_llamacpp.py"))
    with _running([script, str(port), str(max_length + 2), *map(str, files)], port, log) as served:
        yield served


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def _running(command: list[str], port: int, log: Path) -> Iterator[Served]:
    """Run a server in Python, and stop it again."""
    with log.open("w") as lines:
        process = subprocess.Popen(
            [sys.executable, *command],
            env={**os.environ, **ENVIRONMENT},
            stdout=lines,
            stderr=lines,
            start_new_session=True,
        )
        guard = subprocess.Popen(
            [sys.executable, "-c", _GUARD, str(process.pid)], stdin=subprocess.PIPE, start_new_session=True
        )
        try:
            yield _wait_for(f"http://127.0.0.1:{port}/v1", process, log), process.pid
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            guard.communicate()  # closes its input, so that what is left of the group ends, the server's workers too


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path, most: float = 600) -> str:
    end = time.monotonic() + most
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/models", timeout=5):
                return url
        except OSError:
            time.sleep(1)
    sys.exit(f"the server did not start; its last lines:\n{log.read_text()[-2000:]}")
