"""Engine `server`: an OpenAI-compatible server that serves the ranks (vLLM, SGLang, llama.cpp and others)."""
