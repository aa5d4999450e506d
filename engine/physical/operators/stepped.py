"""A ranking driven from outside: its own work in a thread, its questions on the event loop, which must never block."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Literal, TypeVar

from ...dataflow.lookups import in_thread
from ..ranking.judge import Judge, Pair

T = TypeVar("T")
Answers = Sequence[float | None]


async def in_steps(algorithm: Callable[[Judge], Coroutine[Any, Any, T]], judge: Judge) -> T:
    """What the algorithm returns.

    Parameters
    ----------
    algorithm : a coroutine function that awaits nothing but the judge it is given.
    judge : who answers in truth. What it raises ends the algorithm, and is raised.
    """
    course = algorithm(_Asking())
    answers: Answers | None = None
    try:
        while True:
            step = await in_thread(partial(_step, course, answers))
            if isinstance(step, _Ended):
                return step.value
            answers = await step.of(judge)
    finally:
        with suppress(ValueError):  # cancelled in the middle of a step, which ends by itself
            course.close()


@dataclass(frozen=True, slots=True)
class _Asked:
    """A round of questions, awaited by the algorithm until its driver sends the answers."""

    kind: Literal["compare", "score"]
    about: Sequence[Any]

    def __await__(self) -> Generator[_Asked, Answers, Answers]:
        answers = yield self
        return answers

    async def of(self, judge: Judge) -> Answers:
        """The answers of a judge."""
        return await (judge.compare(self.about) if self.kind == "compare" else judge.score(self.about))


@dataclass(frozen=True, slots=True)
class _Ended(Generic[T]):
    value: T


class _Asking:
    """The judge that the algorithm knows."""

    async def compare(self, pairs: Sequence[Pair]) -> Answers:
        return await _Asked("compare", pairs)

    async def score(self, rows: Sequence[int]) -> Answers:
        return await _Asked("score", rows)


def _step(course: Coroutine[Any, Any, T], answers: Answers | None) -> _Asked | _Ended[T]:
    """Go on to the next questions, or to the end."""
    try:
        asked: _Asked = course.send(answers)
    except StopIteration as ended:  # which no future can carry
        return _Ended(ended.value)
    return asked
