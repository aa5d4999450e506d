"""What every server behind the OpenAI protocol must do for AnserDB, whoever wrote it: one suite, run on each of them.

A test file of a server gives the suite its fixture ``server`` (a :class:`ServerUnderContract`) and inherits :class:`Contract`.
"""

from __future__ import annotations

import asyncio
import json
import math
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

import anserdb
from anserdb.engine.dataflow.clock import LoopClock
from anserdb.engine.dataflow.gates import Gates
from anserdb.udfs.models.base import ChoiceAnswer, Generate, JsonAnswer, Model, ModelSpec
from anserdb.udfs.models.hearing import hearing
from anserdb.udfs.models.registry import open_model
from tests.backends.contract_server import ServerUnderContract

CAP = 4
PATIENCE_S = 300.0
ROWS = 16
LONG = Generate("", "Count from one to one thousand, in words.", max_tokens=400)
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 99},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
# Blocks of a prefix cache have up to 128 tokens (vLLM's on CPUs).
PREFIX = "You are a careful clerk who sorts letters. " * 36


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.began = asyncio.Event()

    def begin(self) -> None:
        self.pieces.clear()

    def text(self, delta: str) -> None:
        self.pieces.append(delta)
        self.began.set()


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what the server is about to do."""
    async with asyncio.timeout(PATIENCE_S):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.02)


class Contract:
    """The suite."""

    @pytest_asyncio.fixture
    async def model(self, server: ServerUnderContract) -> AsyncIterator[Model]:
        spec = ModelSpec("served", server.provider, {"model": "served", "base_url": server.base_url, **server.options})
        gates = Gates(LoopClock())
        model = open_model(spec, gates=gates.open, concurrency=CAP, timeout_s=PATIENCE_S, max_retries=0)
        yield model
        await model.close()

    async def test_a_completion_is_text_with_its_tokens_counted(self, model: Model) -> None:
        reply = await model.call(Generate("Answer in one word.", "Name a colour.", max_tokens=8))
        assert reply.text.strip()
        assert reply.usage.tokens_in is not None
        assert reply.usage.tokens_in >= 6
        assert 1 <= (reply.usage.tokens_out or 0) <= 8

    async def test_a_choice_is_one_of_the_choices(self, model: Model) -> None:
        for choices in (("Yes", "No"), ("sports", "politics", "science"), ("a b", "a b c")):
            reply = await model.call(Generate("", "The striker scored twice.", ChoiceAnswer(choices), max_tokens=24))
            assert reply.text in choices

    async def test_log_probabilities_are_those_of_the_choices(self, model: Model) -> None:
        request = Generate("", "Is grass green?", ChoiceAnswer(("Yes", "No"), scores=True), max_tokens=24)
        reply = await model.call(request)
        assert reply.scores is not None
        assert set(reply.scores) == {"Yes", "No"}
        assert reply.scores[reply.text] == max(reply.scores.values())
        assert 0 < sum(math.exp(score) for score in reply.scores.values()) < 1.001

    async def test_a_json_answer_is_valid_under_its_schema(self, model: Model) -> None:
        request = Generate("", "Bob is five years old.", JsonAnswer(json.dumps(PERSON)), max_tokens=64)
        person = json.loads((await model.call(request)).text)
        assert set(person) == {"name", "age"}
        assert isinstance(person["name"], str)
        assert type(person["age"]) is int
        assert 0 <= person["age"] <= 99
        number = Generate(
            "", "How many legs has a dog?", JsonAnswer('{"type": "integer", "maximum": 9}'), max_tokens=16
        )
        assert type(json.loads((await model.call(number)).text)) is int

    async def test_a_streamed_answer_comes_in_pieces_and_is_the_answer(self, model: Model) -> None:
        heard = Heard()
        with hearing(heard):
            reply = await model.call(Generate("", "Write two sentences about rain.", max_tokens=40))
        assert len(heard.pieces) > 2
        assert "".join(heard.pieces).strip() == reply.text.strip()
        assert reply.usage.tokens_out is not None
        assert 2 < reply.usage.tokens_out <= 40

    async def test_a_streamed_json_answer_is_valid_too(self, model: Model) -> None:
        heard = Heard()
        with hearing(heard):
            reply = await model.call(Generate("", "Ann, 41.", JsonAnswer(json.dumps(PERSON)), max_tokens=64))
        assert json.loads("".join(heard.pieces)) == json.loads(reply.text)

    @pytest.mark.parametrize("streamed", [True, False])
    async def test_a_cancelled_call_ends_at_the_server_too(
        self, model: Model, server: ServerUnderContract, streamed: bool
    ) -> None:
        """The server hears that nobody waits any more, and the connections can be used as before."""
        if not (streamed or server.hears_hang_ups):
            pytest.skip("this server writes an answer that is not streamed to its end, whoever waits for it")
        heard = Heard()

        async def ask(number: int) -> None:
            request = Generate("", f"{LONG.user} ({number})", max_tokens=LONG.max_tokens)
            if streamed:
                with hearing(heard):
                    await model.call(request)
            else:
                await model.call(request)

        tasks = [asyncio.create_task(ask(number)) for number in range(CAP)]
        await eventually(lambda: server.running() == CAP)
        if streamed:
            await heard.began.wait()
        assert not any(task.done() for task in tasks)
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
        await eventually(lambda: server.running() == 0)
        assert server.written_tokens() < CAP * LONG.max_tokens  # they were cut off, and not waited for
        again = [model.call(Generate("", f"Say {number}.", max_tokens=4)) for number in range(2 * CAP)]
        assert all(reply.text for reply in await asyncio.gather(*again))

    async def test_a_shared_prefix_is_read_once(self, model: Model, server: ServerUnderContract) -> None:
        first = await model.call(Generate(PREFIX, f"Letter A{server.starts}: hello", max_tokens=1))
        before = server.cached_tokens()
        second = await model.call(Generate(PREFIX, f"Letter B{server.starts}: good bye", max_tokens=1))
        cached = server.cached_tokens() - before
        if second.usage.tokens_cached is not None:
            assert cached <= second.usage.tokens_cached + 16  # the server's own count, in blocks
        read = second.usage.tokens_in or 0
        print(f"{type(server).__name__}: {cached} of {read} prompt tokens from the prefix cache, "
              f"{first.seconds * 1000:.0f} ms before, {second.seconds * 1000:.0f} ms after")  # fmt: skip
        assert cached > read / 2

    def test_a_server_killed_in_mid_query_and_started_again_loses_no_row(
        self, server: ServerUnderContract, tmp_path: Path
    ) -> None:
        options = {"model": "served", "base_url": server.base_url, "concurrency": CAP, **server.options}
        listed = ", ".join(f"{name.upper()} {value!r}" for name, value in options.items())
        with anserdb.connect(store=tmp_path / "s.anser", llm_model="m", llm_max_retries=20, llm_on_error="fail") as con:
            con.sql(f"CREATE MODEL m (PROVIDER {server.provider}, {listed})")
            con.sql(f"CREATE TABLE t AS SELECT i AS id, 'Story ' || i AS body FROM range({ROWS}) r(i)")
            result = con.sql("SELECT id, LLM_COMPLETE('Tell it', body, max_tokens := 8) AS x FROM t")
            assert result is not None
            assert result.progress is not None
            rows: list[tuple[int, str]] = []
            reader = threading.Thread(target=lambda: rows.extend(result.fetchall()))
            reader.start()
            # Something is answered, and stored or about to be; the rest is under way or has not been asked yet.
            asyncio.run(eventually(lambda: sum(site.tokens_out for site in result.progress.sites.values()) > 0))  # type: ignore[union-attr]
            server.kill()
            assert len(rows) < ROWS
            server.start()
            reader.join(PATIENCE_S * 2)
            assert not reader.is_alive()
            assert [row[0] for row in rows] == list(range(ROWS))
            assert all(row[1] for row in rows)
            (errors,) = con.sql("SELECT count(*) FROM llm_errors()").fetchall()  # type: ignore[union-attr]
            assert errors == (0,)
