"""How the engine `server` is opened: who serves which rank, what it can be asked, and whether it is what we think."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aurac.errors import OptionError
from aurac.harness.opening import SERVER_OPTIONS, Base, Engine, EngineOptions, Opened, RankedSource
from aurac.harness.server.client import Client
from aurac.harness.server.lm import PROMPTS, ServerLM
from aurac.harness.server.loaded import LoadedRanks
from aurac.harness.server.names import DEFAULT, Served, base_name, check_base, check_pattern, names_of, read_models
from aurac.harness.server.probe import check_different, check_tokenizer, find_abilities, probe_rows
from aurac.harness.server.verify import verify
from aurac.results.curves import BASE_RANK


class ServedRanks:
    """What sets the rank: the name that requests are sent to.

    Attributes:
        merged: Always None: the server does as it likes.
    """

    merged = None

    def __init__(self, lm: ServerLM, names: Mapping[int, str], max_rank: int) -> None:
        """Keep the names, by rank."""
        self._lm, self._names, self.max_rank = lm, names, max_rank

    def set_rank(self, rank: int) -> None:
        """Ask this rank from now on."""
        self._lm.model_name = self._names[rank]

    def set_base(self) -> None:
        """Ask the base model from now on."""
        self._lm.model_name = self._names[BASE_RANK]


def open_server(adapter: RankedSource, base: Base, options: EngineOptions) -> Opened:
    """Return the lm-eval model over a server, and what sets the rank.

    Raises:
        ServerError: If nothing answers, a rank is not served, or something else is served than the adapter.
    """
    assert options.url is not None
    client = Client(options.url)
    closing = [client.close]
    try:
        pattern = check_pattern(options.served_name or DEFAULT)
        read_models(client)
        if options.load_ranks:
            loaded = LoadedRanks(client, adapter, options.folder)
            closing.append(loaded.unload)
            loaded.load(options.ranks)
            pattern = loaded.pattern
        models = read_models(client)
        client.also = {model.name: model.also for model in models.values() if model.also}
        names = names_of(pattern, options.ranks, models)
        if not options.verify:
            check_base(models, list(names.values()), [base.name, adapter.base_model])
        if options.with_base:
            names = {BASE_RANK: base_name(pattern, models, list(names.values())), **names}
        lm = _open_lm(client, base, options, models, names)
        lm.closing, closing = closing, lm.closing
        lm.facts["loaded"] = options.load_ranks
        if options.verify:
            lm.facts["verified"] = verify(client, names, adapter, base, options, lm.able)
        lm.reset_work()  # what was asked so far belongs to no cell
        return lm, ServedRanks(lm, names, adapter.max_rank)
    except BaseException:
        for close in reversed(closing):
            close()
        raise


def _open_lm(
    client: Client, base: Base, options: EngineOptions, models: Mapping[str, Served], names: Mapping[int, str]
) -> ServerLM:
    model = models[names[max(names)]]
    parent = models.get(model.parent or "", model)
    row = probe_rows(base.tokenizer)[0]
    able = find_abilities(client, model.name, row)
    if able.by_echo:
        check_tokenizer(client, model.name, row, base.tokenizer)
    check_different(client, names, row, able)
    lm = ServerLM(
        client,
        base,
        able,
        software=model.software,
        window=model.window or parent.window,
        max_length=options.max_length,
        batch_size=_batch_size(options.batch_size),
    )
    lm.facts |= {"software": _software(client, model.software)}
    return lm


def _batch_size(given: int | str | None) -> int:
    if isinstance(given, str) and given != "auto":
        raise OptionError(f"--batch-size {given} is for engine hflm. Give a number of prompts, or leave it out.")
    return given if isinstance(given, int) else PROMPTS


def _software(client: Client, name: str) -> str:
    """Return name and version of the server's software, as far as it says."""
    try:
        version: Any = json.loads(client.text("/version") or "{}").get("version")
    except (ValueError, AttributeError):
        version = None
    return f"{name or 'unknown'} {version}" if isinstance(version, str) else name or "unknown"


SERVER = Engine(
    open=open_server,
    options=SERVER_OPTIONS,
    one_process="sends its requests from one process",
    knows_dtype=False,
)
