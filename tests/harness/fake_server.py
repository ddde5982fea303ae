"""An OpenAI-compatible server of a few lines, whose answers are those of plain PEFT slices, with faults to plant."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

Fault = Callable[["FakeServer", str, dict[str, Any]], "tuple[int, Any] | None"]


class FakeServer:
    """Serves a base model and slices of an adapter on loopback.

    Attributes:
        models: Name -> model.
        root: What it says that the base model was loaded from.
        can_echo: Whether it returns the log-probabilities of a prompt; if not, it ignores that, as llama.cpp.
        can_chain: Whether it knows `logprob_token_ids`.
        is_llamacpp: Whether it answers as llama.cpp: it lists the base model alone and has LoRAs by number, does not
            know of echo and named tokens, and says what the log-probability of a token was that it was made to write.
        bias_is_said: Whether these log-probabilities are those after `logit_bias`.
        key: The key that it wants, None for none.
        fault: Called with each request; returns (status, body) to answer instead, raises `ConnectionError` to hang up.
        seen: Path and body of every request.
    """

    def __init__(self, base: Path, slices: Mapping[str, Path]) -> None:
        self.base, self.root = base, str(base)
        self.tokenizer = AutoTokenizer.from_pretrained(base)
        self.models = {str(base): self.load(None), **{name: self.load(path) for name, path in slices.items()}}
        self.reset()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._lock = threading.Lock()

    def reset(self) -> None:
        self.root = str(self.base)
        self.can_echo = self.can_chain = True
        self.is_llamacpp = self.bias_is_said = False
        self.key: str | None = None
        self.fault: Fault | None = None
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.window = 64

    def load(self, path: Path | None) -> Any:
        model = AutoModelForCausalLM.from_pretrained(self.base, dtype=torch.float32)
        return (model if path is None else PeftModel.from_pretrained(model, path)).eval()

    @contextmanager
    def running(self) -> Iterator[FakeServer]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()

    def answer(self, path: str, body: dict[str, Any], key: str | None) -> tuple[int, Any]:
        with self._lock:
            self.seen.append((path, body))
            if self.fault is not None and (instead := self.fault(self, path, body)) is not None:
                return instead
            if self.key is not None and key != f"Bearer {self.key}":
                return 401, {"error": {"message": f"Incorrect API key provided: {key}."}}
            return getattr(self, PATHS.get(path, "nothing"))(body)

    def nothing(self, _: Any) -> tuple[int, Any]:
        return 404, {"detail": "Not Found"}

    def version(self, _: Any) -> tuple[int, Any]:
        return 200, {"version": "0.0.1"}

    def listed(self, _: Any) -> tuple[int, Any]:
        def entry(name: str) -> dict[str, Any]:
            is_base = name == str(self.base)
            about = {"root": self.root, "parent": None} if is_base else {"root": name, "parent": str(self.base)}
            return {"id": name, "owned_by": "vllm", "max_model_len": self.window if is_base else None, **about}

        if self.is_llamacpp:
            only = {"id": "base.gguf", "owned_by": "llamacpp", "meta": {"n_ctx": self.window, "n_ctx_train": 8192}}
            return 200, {"object": "list", "models": [], "data": [only]}
        return 200, {"object": "list", "data": [entry(name) for name in self.models]}

    def loras(self, _: Any) -> tuple[int, Any]:
        if not self.is_llamacpp:
            return 404, {"detail": "Not Found"}
        return 200, [{"id": i, "path": f"/loras/{name}.gguf", "scale": 1.0} for i, name in enumerate(self.named)]

    @property
    def named(self) -> list[str]:
        return [name for name in self.models if name != str(self.base)]

    def load_adapter(self, body: dict[str, Any]) -> tuple[int, Any]:
        if body["lora_name"] in self.models:
            return 400, {"error": {"message": "already loaded"}}
        self.models[body["lora_name"]] = self.load(Path(body["lora_path"]))
        return 200, "Success"

    def unload_adapter(self, body: dict[str, Any]) -> tuple[int, Any]:
        del self.models[body["lora_name"]]
        return 200, "Success"

    def complete(self, body: dict[str, Any]) -> tuple[int, Any]:
        if self.is_llamacpp:
            return 200, {"choices": [self.choice_of_llamacpp(i, row, body) for i, row in enumerate(body["prompt"])]}
        if body["model"] not in self.models:
            return 404, {"error": {"message": f"The model `{body['model']}` does not exist."}}
        if not self.can_chain and "logprob_token_ids" in body:
            return 400, {"error": {"message": "unknown parameter logprob_token_ids"}}
        if max(map(len, body["prompt"])) + body["max_tokens"] > self.window:
            return 400, {"error": {"message": "maximum context length"}}
        choices = [self.choice(i, row, body) for i, row in enumerate(body["prompt"])]
        return 200, {"choices": choices[::-1]}  # in any order, with their index

    def choice(self, index: int, row: list[int], body: dict[str, Any]) -> dict[str, Any]:
        written, logs = self.write(row, body)
        said: dict[str, Any] = {"index": index, "text": self.tokenizer.decode(written, skip_special_tokens=True)}
        if body.get("return_token_ids"):
            said["token_ids"] = written
        if body.get("logprobs") is None:
            return said
        asked = body.get("logprob_token_ids") or []
        by_id = body.get("return_tokens_as_token_ids")

        def name(token: int) -> str:
            return f"token_id:{token}" if by_id else self.tokenizer.decode([token])

        shown = [*row, *written] if body.get("echo") and self.can_echo else written
        values = logs[-len(shown) :] if len(shown) == len(written) else [None, *logs]
        said["logprobs"] = {
            "tokens": [name(token) for token in shown],
            "token_logprobs": [None if v is None else float(v[t]) for v, t in zip(values, shown, strict=True)],
            "top_logprobs": [
                None if v is None else {name(t): float(v[t]) for t in {*asked, int(v.argmax()), token}}
                for v, token in zip(values, shown, strict=True)
            ],
        }
        return said

    @torch.inference_mode()
    def choice_of_llamacpp(self, index: int, row: list[int], body: dict[str, Any]) -> dict[str, Any]:
        (name,) = [self.named[lora["id"]] for lora in body["lora"] if lora["scale"]] or [str(self.base)]
        if "logit_bias" not in body:
            written, _ = self.write(row, {**body, "model": name})
            # In its context, so with the blank that a tokenizer drops at the beginning of a text.
            return {"index": index, "text": " " + self.tokenizer.decode(written, skip_special_tokens=True)}
        ((token, bias),) = body["logit_bias"]
        logits = self.models[name](input_ids=torch.tensor([row])).logits[0, -1]
        if self.bias_is_said:
            logits[token] += bias
        logs = logits.log_softmax(-1)
        top = {"id": int(logs.argmax()), "logprob": float(logs.max())}
        said = {"id": token, "logprob": float(logs[token]), "top_logprobs": [top]}
        return {"index": index, "text": "", "logprobs": {"content": [said]}}

    @torch.inference_mode()
    def write(self, row: list[int], body: dict[str, Any]) -> tuple[list[int], Any]:
        """Greedy decoding; returns what was written, and log-probabilities of every position from the second on."""
        tokens = list(row)
        for _ in range(body["max_tokens"]):
            logits = self.models[body["model"]](input_ids=torch.tensor([tokens])).logits[0].log_softmax(-1)
            tokens.append(int(logits[-1].argmax()))
            text = self.tokenizer.decode(tokens[len(row) :], skip_special_tokens=True)
            if tokens[-1] in body.get("stop_token_ids", []) or any(stop in text for stop in body.get("stop", [])):
                break
        return tokens[len(row) :], list(logits)


PATHS = {
    "/v1/models": "listed",
    "/version": "version",
    "/lora-adapters": "loras",
    "/v1/completions": "complete",
    "/v1/load_lora_adapter": "load_adapter",
    "/v1/unload_lora_adapter": "unload_adapter",
}


def handler_of(server: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.reply({})

        def do_POST(self) -> None:
            self.reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def reply(self, body: dict[str, Any]) -> None:
            try:
                status, answer = server.answer(self.path, body, self.headers.get("Authorization"))
            except ConnectionError:
                self.close_connection = True
                return
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
