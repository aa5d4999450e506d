"""Whose request it was: attempts of one call, and those that were for nothing."""

from __future__ import annotations

import asyncio

from anserdb.udfs.models.base import Usage
from anserdb.udfs.models.sending import Sendings, answered, attempt, counted, not_sent, over, sent


def test_the_loser_of_a_race_is_no_retry_and_leaves_no_tokens() -> None:
    async def racer(endpoint: str, tokens: int, started: list[Sendings]) -> None:
        with attempt() as mine:
            started.append(mine)
            sent(endpoint)
            await asyncio.sleep(0)
            answered(Usage(tokens, 1))

    async def race() -> Sendings:
        started: list[Sendings] = []
        with counted() as call:
            await asyncio.gather(racer("a", 10, started), racer("b", 20, started))
        first = call.last
        started[1].discard("a was enough")
        assert call.last < first
        return call

    call = asyncio.run(race())
    assert (call.count, call.endpoint, call.usage) == (1, "a", Usage())
    assert [(lost.count, lost.endpoint, lost.usage, lost.why) for lost in call.discarded] == [
        (1, "b", Usage(20, 1), "a was enough")
    ]


def test_what_a_discarded_attempt_yet_sends_is_its_own() -> None:
    with counted() as call:
        with attempt() as kept:
            sent("a")
        with attempt() as lost:
            sent("b")
            lost.discard("late")
            lost.discard("twice")
            sent("b")
            answered(Usage(5, 5))
        with attempt() as never:
            sent("c")
            not_sent()
            never.discard("it was never needed")
    assert (call.count, call.endpoint, kept.count) == (1, "a", 1)
    assert [(one.count, one.usage) for one in call.discarded] == [(2, Usage(5, 5)), (0, Usage())]


def test_attempts_within_attempts_reach_the_call() -> None:
    with counted() as call:
        with attempt() as outer:
            with attempt() as inner:
                sent("x")
                inner.discard("slow")
            sent("y")
        outer.discard("slower")
    assert call.count == 0
    assert [(one.count, one.endpoint) for one in call.discarded] == [(1, "x"), (1, "y")]


def test_without_books_nothing_is_counted() -> None:
    with attempt() as alone:
        sent("a")
        alone.discard("nobody pays")
    assert alone.count == 1
    assert not alone.discarded


def test_what_answered_requests_hold_is_given_back_when_the_answer_is_kept() -> None:
    given_back: list[str] = []
    with counted() as call:
        call.held = ()
        with attempt():
            over(lambda: given_back.append("inner"))
        over(lambda: given_back.append("outer"))
    assert not given_back
    call.release()
    call.release()
    assert given_back == ["inner", "outer"]


def test_where_nobody_keeps_answers_nothing_is_held() -> None:
    given_back: list[str] = []
    over(lambda: given_back.append("alone"))
    with counted():
        over(lambda: given_back.append("only counted"))
    assert given_back == ["alone", "only counted"]
