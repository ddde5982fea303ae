"""Engine `server`: the numbers are HFLM's over the local adapter, and whatever a server does wrong is one line."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from lm_eval.api.instance import Instance
from transformers import AutoConfig, AutoTokenizer

import aurac
from adapter_by_peft import write_adapter
from aurac import testbed
from aurac.errors import AuracError, OptionError
from aurac.harness.opening import Base
from aurac.harness.server import client as client_module
from aurac.harness.server.client import KEY, Client
from aurac.harness.server.lm import ServerLM
from aurac.harness.server.probe import Abilities
from aurac.results import Run
from aurac_adapters import export_slice
from fake_server import FakeServer
from hosted_cases import OPTIONS, RANKS
from tolerance import same_log_likelihoods

Score = Callable[..., Run]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_adapter(tmp_path_factory.mktemp("adapter") / "mine", seed=3)


@pytest.fixture(scope="module")
def running(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeServer]:
    root = tmp_path_factory.mktemp("slices")
    slices = {f"r{rank}": export_slice(folder, rank, root / f"r{rank}") for rank in RANKS}
    with FakeServer(testbed.MODEL, slices).running() as server:
        yield server


@pytest.fixture
def server(running: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    monkeypatch.delenv(KEY, raising=False)
    monkeypatch.setattr(client_module, "FIRST_PAUSE", 0.001)
    models = dict(running.models)
    running.reset()
    yield running
    running.models = models


@pytest.fixture(scope="module")
def expected(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same by lm-eval's own model class over the local adapter, one request at a time."""
    out = tmp_path_factory.mktemp("hflm") / "run"
    run = aurac.score(folder, tasks="facts,cipher", out=out, engine="hflm", batch_size=1, **OPTIONS)
    assert run is not None
    return run


@pytest.fixture
def score(folder: Path, server: FakeServer, tmp_path: Path) -> Score:
    def by_server(tasks: str = "facts", **options: Any) -> Run:
        given = {"out": tmp_path / "run", "engine": "server", "url": server.url, **OPTIONS, **options}
        run = aurac.score(options.pop("adapter", folder), tasks=tasks, **given)
        assert run is not None
        return run

    return by_server


def documents(run: Run, *tasks: str) -> pd.DataFrame:
    assert run.path is not None
    rows = pd.read_parquet(run.path / "documents.parquet")
    keys = ["task", "rank", "doc_id", "filter", "metric"]
    return rows[rows.task.isin(tasks)].set_index(keys).sort_index()


@pytest.mark.parametrize(
    ("echo", "chain"), [(True, True), pytest.param(True, False, marks=pytest.mark.slow), (False, True)]
)
def test_every_document_at_every_rank_and_the_base_model_is_hflms(
    echo: bool, chain: bool, server: FakeServer, score: Score, expected: Run
) -> None:
    server.can_echo, server.can_chain = echo, chain
    run = score("facts,cipher", batch_size=3)
    assert run.failures == ()
    mine, theirs = (documents(r, "facts", "cipher") for r in (run, expected))
    assert mine.index.equals(theirs.index)
    assert {0, *RANKS} == set(mine.index.get_level_values("rank"))
    assert mine.score.tolist() == same_log_likelihoods(theirs.score.tolist())
    kinds = {"echo" if "echo" in body else "chain" for _, body in server.seen if "logprobs" in body}
    assert kinds == {"echo", "chain"} or not (echo and chain)


def make_lm(server: FakeServer, name: str, *, software: str = "vllm", **able: bool) -> ServerLM:
    base = Base(
        str(testbed.MODEL),
        "float32",
        AutoTokenizer.from_pretrained(testbed.MODEL),
        AutoConfig.from_pretrained(testbed.MODEL),
    )
    lm = ServerLM(Client(server.url), base, Abilities(**{"by_echo": True, "by_chain": True, **able}), software=software)
    lm.model_name = name
    return lm


def test_whole_texts_are_read_as_hflm_reads_them(server: FakeServer) -> None:
    from aurac.harness.model import hflm_engine

    lm = make_lm(server, "r3")
    texts = ["a red door", "the sea is blue " * 30]  # the second is longer than the window
    asked = [Instance("loglikelihood_rolling", doc={}, arguments=(text,), idx=0) for text in texts]
    server.window = 66  # what the model reads, and a token at either end
    own = hflm_engine(server.models["r3"], lm.tokenizer, batch_size=1)
    assert lm.loglikelihood_rolling(asked) == same_log_likelihoods(own.loglikelihood_rolling(asked))


def test_each_text_that_is_drawn_has_a_seed_of_its_own_and_all_that_moves_it_is_named(server: FakeServer) -> None:
    lm = make_lm(server, "r3")
    how = {"until": ["."], "max_gen_toks": 3, "do_sample": True, "temperature": 0.7, "top_p": 0.9}
    lm.generate_until([Instance("generate_until", doc={}, arguments=("a red", how), idx=0)] * 2)
    bodies = [body for path, body in server.seen if path.endswith("/completions")]
    assert len({body["seed"] for body in bodies}) == 2
    for body in bodies:
        # transformers draws from the 50 likeliest tokens where nobody says; vLLM from all of them.
        assert (body["temperature"], body["top_p"], body["top_k"], body["min_p"]) == (0.7, 0.9, 50, 0.0)
        assert body["repetition_penalty"] == 1.0


def test_beams_are_refused_not_replaced(server: FakeServer) -> None:
    asked = Instance("generate_until", doc={}, arguments=("a", {"until": ["."], "num_beams": 4}), idx=0)
    with pytest.raises(AuracError, match=r"ask for num_beams, which this engine cannot have done alike"):
        make_lm(server, "r3").generate_until([asked])


def test_the_record_signs_the_server_and_holds_neither_address_nor_key(
    score: Score, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.key = "sk-secret-123"
    monkeypatch.setenv(KEY, server.key)
    run = score(verify=True)
    assert run.path is not None
    text = (run.path / "run.json").read_text()
    assert run.record["identity"]["engine"] == "server"
    assert run.record["identity"]["dtype"] == "as served"
    assert run.record["engine"]["software"] == "vllm 0.0.1"
    assert run.record["engine"]["verified"] < 1e-4
    assert server.key not in text
    assert "127.0.0.1" not in text
    work = run.record["cells"][0]["work"]
    assert work["requests"] == 16
    assert 0 < work["prompts"] <= 16


MISTAKES: dict[str, tuple[Callable[[FakeServer], Any], dict[str, Any], str]] = {
    "a rank that is not served": (
        lambda s: s.models.pop("r3"),
        {},
        r"the server does not serve rank 3 \(r3\); it serves .*r1, r4\. Correct --served-name",
    ),
    "names that are others": (
        lambda _: None,
        {"served_name": "rank-{rank}"},
        r"does not serve ranks 1 \(rank-1\), 3 \(rank-3\), 4 \(rank-4\)",
    ),
    "a pattern without a rank": (lambda _: None, {"served_name": "mine"}, r"'mine' has no \{rank\}"),
    "a wrong path": (lambda _: None, {"url": "PLACE/v2"}, r"refuses a request \(404\).*Give its address up to /v1"),
    "another base model by name": (
        lambda s: setattr(s, "root", "/models/other-1b"),
        {},
        r"stands on the base model /models/other-1b, the adapter on .*Give --verify",
    ),
    "one adapter under all names": (
        lambda s: s.models.update(dict.fromkeys(["r1", "r3", "r4"], s.models["r4"])),
        {},
        r"r1 and r4 give the same numbers to the last digit",
    ),
    "ranks under each other's name": (
        lambda s: s.models.update(r1=s.models["r3"], r3=s.models["r1"]),
        {"verify": True},
        r"the server's r\d is not rank \d: its log-probabilities differ .* It serves rank \d there\.",
    ),
    "the base model under a rank's name": (
        lambda s: s.models.update(r3=s.models[str(s.base)]),
        {"verify": True},
        r"the server's r3 is not rank 3: .* It serves the base model alone there\.",
    ),
    "another inference rule": (
        lambda _: None,
        {"verify": True, "gain": 1.5},
        r"differ from the local adapter's by .* nats per token .*Its adapter, inference rule, base model or type",
    ),
    "a key that is wanted": (lambda s: setattr(s, "key", "k"), {}, r"the server wants a key\. Set OPENAI_API_KEY"),
    "runtime loading that is switched off": (
        lambda s: setattr(s, "fault", lambda _, path, __: (404, {"detail": "Not Found"}) if "lora" in path else None),
        {"load_ranks": True},
        r"the server does not load rank 1: Not Found \(404\)\. Start vLLM with --enable-lora",
    ),
    "no server at all": (
        lambda s: setattr(s, "fault", lambda *_: (200, ["hello"])),
        {},
        r"lists no models: no OpenAI-compatible server is there",
    ),
    "a web page": (
        lambda s: setattr(s, "fault", lambda *_: (500, "Oops")),
        {},
        r"no answer, 2 times \(it says 500, Oops",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_before_anything_is_measured(
    mistake: str, server: FakeServer, score: Score, tmp_path: Path
) -> None:
    plant, options, message = MISTAKES[mistake]
    plant(server)
    options = {
        n: v.replace("PLACE/v1", "").replace("PLACE", server.url[:-3]) if n == "url" else v for n, v in options.items()
    }
    with pytest.raises(AuracError, match=message) as raised:
        score(**options)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()


def test_an_address_where_nothing_listens_is_one_line(score: Score) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.raises(
        AuracError, match=rf"127.0.0.1:{port}/v1: the server gave no answer, 2 times \(connection refused"
    ):
        score(url=f"http://127.0.0.1:{port}/v1")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "server"}, r"engine server needs the server's address\. Give --url"),
        ({"engine": "aurac", "url": "http://x/v1"}, r"--url is for engine server, and the engine is aurac"),
        ({"verify": True}, r"--verify is for engine server"),
        ({"engine": "server", "url": "localhost:8000"}, r"'localhost:8000' is no address of a server"),
        ({"engine": "server", "url": "http://127.0.0.1:99999/v1"}, r"'http://127.0.0.1:99999/v1' is no address"),
        ({"engine": "server", "url": "http://[::1/v1"}, r"'http://\[::1/v1' is no address"),
        (
            {"engine": "server", "url": "http://a:b@h:99999/v1"},
            r"--url holds a user, a password or a query.*OPENAI_API_KEY",
        ),
    ],
)
def test_options_of_the_server_are_checked(options: dict[str, Any], message: str, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=message) as raised:
        aurac.score(folder, tasks="facts", out=tmp_path / "run", **OPTIONS, **options)
    assert "a:b" not in str(raised.value)


def test_a_key_that_the_server_repeats_is_not_printed(
    score: Score, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.key = "right"
    monkeypatch.setenv(KEY, "sk-wrong-456")
    with pytest.raises(AuracError, match=r"refuses the key in OPENAI_API_KEY") as raised:
        score()
    assert "sk-wrong" not in str(raised.value)


def test_a_server_that_ignores_echo_writes_texts_only(server: FakeServer, score: Score, expected: Run) -> None:
    server.can_echo = server.can_chain = False
    run = score("facts,cipher")
    assert {failure["task"] for failure in run.failures} == {"facts"}
    assert "gives no log-probabilities of prompts" in run.failures[0]["error"]
    assert "ignores echo" in run.failures[0]["error"]
    assert documents(run, "cipher").score.tolist() == documents(expected, "cipher").score.tolist()


def test_ranks_of_a_llamacpp_server_are_chosen_by_number_and_scored_by_tokens_that_it_is_forced_to_write(
    server: FakeServer, score: Score, expected: Run
) -> None:
    server.is_llamacpp = True
    run = score("facts,cipher", verify=True, batch_size=3)
    assert run.failures == ()
    mine, theirs = (documents(r, "facts", "cipher") for r in (run, expected))
    assert mine.index.equals(theirs.index)
    assert mine.score.tolist() == same_log_likelihoods(theirs.score.tolist())


def test_log_probabilities_that_a_bias_has_moved_are_not_used(server: FakeServer, score: Score, expected: Run) -> None:
    server.is_llamacpp = server.bias_is_said = True
    run = score("facts,cipher")
    assert {failure["task"] for failure in run.failures} == {"facts"}
    assert documents(run, "cipher").score.tolist() == documents(expected, "cipher").score.tolist()


def test_a_llamacpp_server_samples_as_transformers_does(server: FakeServer) -> None:
    server.is_llamacpp = True
    lm = make_lm(server, "base.gguf", software="llamacpp")
    lm.client.also = {"base.gguf": {"lora": []}}
    options = {"do_sample": True, "temperature": 0.7, "top_p": 0.9, "until": [], "max_gen_toks": 2}
    options["repetition_penalty"] = 1.1
    lm.generate_until([Instance("generate_until", {}, ("a cat", options), 0)])
    body = server.seen[-1][1]
    assert body["samplers"] == ["penalties", "temperature", "top_k", "top_p", "min_p"]
    (prompt,) = body["prompt"]
    assert (body["top_k"], body["min_p"]) == (50, 0.0)
    assert (body["repeat_penalty"], body["repeat_last_n"]) == (1.1, len(prompt) + 2)


def every_third(answer: Any) -> Callable[..., Any]:
    calls = iter(range(10_000))

    def fault(_: FakeServer, path: str, __: dict[str, Any]) -> Any:
        if path.endswith("/completions") and next(calls) % 3 == 2:
            if isinstance(answer, Exception):
                raise answer
            return answer
        return None

    return fault


@pytest.mark.parametrize("fault", [(500, "x"), (503, {"error": "busy"}), (429, {"detail": "slow"}), ConnectionError()])
def test_faults_that_pass_are_waited_out_and_counted(
    fault: Any, server: FakeServer, score: Score, expected: Run
) -> None:
    server.fault = every_third(fault)
    run = score(ranks=(1, 4), no_base=True)
    assert run.failures == ()
    mine, theirs = documents(run, "facts"), documents(expected, "facts")
    assert mine.score.tolist() == same_log_likelihoods(theirs.loc[mine.index].score.tolist())
    assert sum(cell["work"]["retries"] for cell in run.record["cells"]) > 0


def test_a_server_that_dies_leaves_failed_cells_and_the_same_command_goes_on(
    server: FakeServer, score: Score, expected: Run
) -> None:
    def dead_at_the_second_rank(_: FakeServer, __: str, body: dict[str, Any]) -> Any:
        if body.get("model") == "r3" and body["max_tokens"] == 1 and len(server.seen) > 8:
            server.fault = lambda *_: (500, {"error": {"message": "EngineCore encountered an issue"}})
            return 500, {}
        return None

    server.fault = dead_at_the_second_rank
    run = score()
    assert [failure["rank"] for failure in run.failures] == [0, 3, 4] or [f["rank"] for f in run.failures] == [3, 4, 0]
    assert "the server gave no answer" in run.failures[0]["error"]
    server.fault = None
    asked = len(server.seen)
    again = score()
    assert again.failures == ()
    assert "r1" not in {body.get("model") for _, body in server.seen[asked + 12 :]}  # after the questions at the start
    mine, theirs = documents(again, "facts"), documents(expected, "facts")
    assert mine.score.tolist() == same_log_likelihoods(theirs.score.tolist())


@pytest.mark.parametrize("rule", [None, "trained"])
def test_ranks_are_loaded_under_a_name_with_the_adapters_hash_and_taken_away_again(
    rule: str | None, server: FakeServer, score: Score, tmp_path: Path
) -> None:
    before = set(server.models)
    run = score(load_ranks=True, inference=rule, verify=True)
    assert run.failures == ()
    assert run.record["engine"]["verified"] < 1e-4
    loaded = [body["lora_name"] for path, body in server.seen if path.endswith("/load_lora_adapter")]
    assert len(loaded) == 3
    assert all(name.startswith("aurac-") and name not in before for name in loaded)
    assert set(server.models) == before
    assert not [path for path in tmp_path.rglob("*") if "slices" in path.name]


def test_a_server_with_less_room_than_a_prompt_says_what_to_give(server: FakeServer, score: Score) -> None:
    server.window = 30
    run = score(max_length=40, tasks="facts", limit=2, no_base=True, ranks=(1, 4))
    assert run.failures == ()
    lm = make_lm(server, "r1")
    lm.window = 30
    asked = Instance("loglikelihood", doc={}, arguments=("the sea is blue " * 9, " red"), idx=0)
    with pytest.raises(AuracError, match=r"the server has room for 30\. Start it with more .* or give --max-length 28"):
        lm.loglikelihood([asked])


def test_a_model_behind_an_api_has_no_device_and_can_be_scored() -> None:
    from aurac.harness.identity import hardware

    assert hardware(None) == {"device": "elsewhere"}
    assert json.dumps(hardware(None))
