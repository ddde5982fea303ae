"""llama.cpp's server on 127.0.0.1, as the wheel xllamacpp has it; called by served.py, which also ends it.

    python benchmarks/served_llamacpp.py 8000 2048 base.gguf r1.gguf r4.gguf

The numbers are the port and the tokens that fit into prompt and answer together. The key-value cache is in float32, and
attention without llama.cpp's fused kernel, which rounds to 16 bits: with both at their defaults log-probabilities of
the small model were off by up to 0.001 nats a token.
"""

from __future__ import annotations

import signal
import sys

import xllamacpp

CALLS = 4  # that are answered at a time


def main() -> None:
    """Serve."""
    port, window, base, *loras = sys.argv[1:]
    params = xllamacpp.CommonParams()
    params.model.path = base
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(lora, 1.0) for lora in loras]
    params.port = int(port)
    params.n_ctx, params.n_parallel = int(window) * CALLS, CALLS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
