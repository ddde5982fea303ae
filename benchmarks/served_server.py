"""A vLLM server on this machine, for as long as the script that started it lives."""

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


@contextmanager
def server(base: str, max_length: int, rank: int, named: Mapping[str, Path], log: Path) -> Iterator[str]:
    """Have vLLM serve a base model on a free port of this machine, and stop it again.

    Args:
        base: Base model.
        max_length: Tokens that the model is to read.
        rank: The largest rank of a LoRA.
        named: Name -> folder of LoRAs that are served from the start.
        log: File for what it prints.

    Yields:
        Its address, up to /v1.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", base, "--dtype", "float32"]
    command += ["--enforce-eager", "--enable-lora", "--max-lora-rank", str(rank), "--max-loras", "4"]
    command += ["--max-model-len", str(max_length + 2), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--lora-modules", *(f"{name}={path}" for name, path in named.items())]
    command += ["--lora-target-modules", *TARGETS]
    with log.open("w") as lines:
        process = subprocess.Popen(
            command, env={**os.environ, **ENVIRONMENT}, stdout=lines, stderr=lines, start_new_session=True
        )
        guard = subprocess.Popen(
            [sys.executable, "-c", _GUARD, str(process.pid)], stdin=subprocess.PIPE, start_new_session=True
        )
        try:
            yield _wait_for(f"http://127.0.0.1:{port}/v1", process, log)
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
