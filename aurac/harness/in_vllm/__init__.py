"""Engine `vllm`: vLLM in this process, started once, with every rank as a LoRA of its own."""
