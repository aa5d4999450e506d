"""Who asks hears the answer through everything that stands between: wrappers, questions in flight, re-asks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import stamina

from anserdb.engine.dataflow.caller import Caller
from anserdb.engine.errors import InvalidAnswer, ModelUnavailable
from anserdb.engine.store import Store
from anserdb.udfs.models.base import Generate, Reply
from anserdb.udfs.models.hearing import hearing, listener
from anserdb.udfs.models.scripted import Fault, ScriptedModel
from anserdb.udfs.models.wrap.retried import Retried
from tests.support.function_call import DYNAMIC, bound, task
from tests.support.runtime import SPEC, new_run

ASK = Generate("", "tell")


class Heard:
    """Keeps what it hears, by attempt."""

    def __init__(self) -> None:
        self.attempts: list[str] = []

    def begin(self) -> None:
        self.attempts.append("")

    def text(self, delta: str) -> None:
        self.attempts[-1] += delta


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open(None) as opened:
        yield opened


def caller(store: Store, model: Any) -> Caller:
    return Caller(new_run(store), model, SPEC, site="1:F", function="F")


def second_answers(*texts: str) -> Any:
    """A rule that says the texts one after the other."""
    left = iter(texts)
    return ("", lambda _: next(left))


def short(reply: Reply) -> str:
    if len(reply.text) > 10:
        raise InvalidAnswer("too long", "scripted", reply.text)
    return reply.text


async def test_a_question_in_flight_is_heard_by_who_asked_it_and_begins_anew_when_it_is_asked_again(
    store: Store,
) -> None:
    model = ScriptedModel([second_answers("a long answer", "short")], faults=[Fault("", ModelUnavailable("down"))])
    ask, ears = caller(store, Retried(model, max_retries=2)), [Heard(), Heard(), Heard()]

    async def asked(ear: Heard) -> str:
        with hearing(ear):
            return await ask(ASK, short)

    with stamina.set_testing(True, attempts=3, cap=True):
        assert await asyncio.gather(*map(asked, ears[:2])) == ["short"] * 2
    assert await asked(ears[2]) == "short"  # from the store
    assert [ear.attempts for ear in ears] == [["a long answer", "short"], [], []]


async def test_a_question_that_outlives_its_asker_goes_on_unheard(store: Store) -> None:
    may_go, ear = asyncio.Event(), Heard()

    async def pace(before: str) -> None:
        if before:
            await may_go.wait()

    ask = caller(store, ScriptedModel([("", "an answer in pieces")], pace=pace))

    async def first() -> None:
        with hearing(ear):
            await ask(ASK, lambda reply: reply.text)

    leaver = asyncio.create_task(first())
    while not ear.attempts or not ear.attempts[0]:
        await asyncio.sleep(0)
    stayer = asyncio.create_task(ask(ASK, lambda reply: reply.text))
    await asyncio.sleep(0.01)
    leaver.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaver
    may_go.set()
    assert await stayer == "an answer in pieces"
    assert ear.attempts == ["an answ"]


async def test_items_of_an_answer_that_is_refused_are_taken_back(store: Store) -> None:
    call, _ = task("LLM_SPLIT", bound(DYNAMIC, "words", texts=("t.body", "…")))
    answers = ('{"parts": ["a", "b", "none of it"]}', '{"parts": ["a b"]}')
    emitted: list[Any] = []
    result = await call.stream(["a b"], caller(store, ScriptedModel([second_answers(*answers)])), emitted.append)  # type: ignore[attr-defined]
    assert [[item["part"] for item in items] for items in emitted] == [["a"], ["a", "b"], ["a b"]]
    assert result == emitted[-1]


async def test_of_two_attempts_at_once_the_first_to_speak_is_heard_and_after_it_the_next() -> None:
    ear, said = Heard(), asyncio.Event()

    async def attempt(words: str, until: asyncio.Event | None = None) -> None:
        voice = listener()
        assert voice is not None
        voice.begin()
        voice.text(words)
        if until is not None:
            await until.wait()
            voice.text(words)

    with hearing(ear):
        first = asyncio.create_task(attempt("a", said))
        await asyncio.sleep(0)
        await asyncio.create_task(attempt("hedged"))
        said.set()
        await first
        await attempt("b")
        await attempt("c")  # a retry, in the same task
        late = listener()
    assert late is not None
    late.begin()
    late.text("too late")
    assert ear.attempts == ["aa", "b", "c"]
    assert listener() is None
