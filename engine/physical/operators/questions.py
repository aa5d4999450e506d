"""The distinct questions of one call site: each one task, shared by the rows that ask the same."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from ....udfs.spec import Emit
from ...dataflow.memo import Memo
from ...errors import BudgetExceeded, DataError, ModelError, ModelUnavailable

REMEMBERED = 100_000
REMEMBERED_BYTES = 32 << 20
SHORT = 256
"""A text of so many characters is its own key: hashing it would cost more than keeping it."""
HOPELESS_AFTER = 3
"""So many first questions finding nobody there, none answered: the other rows need not try."""
REFUSED_AFTER = 20
"""So many first questions refused in the same words, none answered (a wrong key, an unknown model): it is not about rows."""


class Question:
    """One tuple of arguments, being answered or done.

    ``preview`` is the arguments, shortened, for the error ledger and for messages; ``error`` is a row's failure, and
    ``digest`` stands for the arguments then; ``listeners`` are told of the end. ``heard`` is what is known of a list that the
    model is still writing, and ``hearers`` are told when there is more of it.
    """

    __slots__ = ("digest", "done", "error", "heard", "hearers", "listeners", "preview", "value")

    def __init__(self, values: Sequence[Any]) -> None:
        self.preview = preview_of(values)
        self.value: Any = None
        self.error: Exception | None = None
        self.digest = ""
        self.done = False
        self.listeners: list[Callable[[], None]] = []
        self.heard: Sequence[Any] = ()
        self.hearers: list[Callable[[], None]] = []

    def hear(self, items: Sequence[Any]) -> None:
        """These are the first items of the answer, as far as is known."""
        self.heard = items
        for hearer in self.hearers:
            hearer()


class Questions:
    """Asks questions in tasks of their own and sorts what comes of them.

    Parameters
    ----------
    ask : answers one tuple of arguments, and tells on the way what it hears.
    share : whether equal tuples are one question here (they are one call anyway).
    strict : a row's failure ends the query, when its turn comes.
    fatal : told of an error that is no row's: it must end the query at once.

    Attributes
    ----------
    doomed : the query will fail at a row already asked; asking more would be a waste.
    """

    def __init__(
        self,
        ask: Callable[[Sequence[Any], Emit], Coroutine[Any, Any, Any]],
        *,
        share: bool,
        strict: bool,
        fatal: Callable[[BaseException], None],
    ) -> None:
        self._ask, self._fatal = ask, fatal
        self._strict = strict
        self.doomed = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._memo: Memo[str | bytes, Question] | None = Memo(REMEMBERED, REMEMBERED_BYTES) if share else None
        self._answered = False
        self._first_failures: list[Exception] = []

    def of(self, values: Sequence[Any]) -> tuple[Question, bool]:
        """The question for these arguments, and whether it is new."""
        if self._memo is None:
            return self._start(values, None), True
        key = key_of(values)
        question = self._memo.get(key)
        if question is not None:
            return question, False
        question = self._start(values, key)
        self._memo.put(key, question, len(key))
        return question, True

    async def close(self) -> None:
        """Cancel what is under way and wait for its end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, values: Sequence[Any], key: str | bytes | None) -> Question:
        question = Question(values)
        task = asyncio.create_task(self._ask(values, question.hear))
        self._tasks.add(task)
        task.add_done_callback(partial(self._finish, question, key, values))
        return question

    def _finish(
        self, question: Question, key: str | bytes | None, values: Sequence[Any], task: asyncio.Task[Any]
    ) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            self._fatal(asyncio.CancelledError())
            return
        error = task.exception()
        if error is None:
            question.value = task.result()
            self._answered = True
            self._reweigh(question, key)
        elif isinstance(error, ModelError) and error.hopeless:
            self._fatal(error)
        elif isinstance(error, ModelError | DataError | BudgetExceeded):
            question.error, question.digest = error, _digest(values).hex()
            self.doomed = self.doomed or self._strict or isinstance(error, BudgetExceeded)
            self._despair(error)
        else:
            self._fatal(error)
        question.done = True
        for listener in question.listeners:
            listener()
        question.listeners.clear()
        question.hearers.clear()
        question.heard = ()

    def _reweigh(self, question: Question, key: str | bytes | None) -> None:
        if self._memo is not None and key is not None and self._memo.get(key) is question:
            self._memo.put(key, question, len(key) + weigh(question.value))

    def _despair(self, error: Exception) -> None:
        if self._answered or len(self._first_failures) >= REFUSED_AFTER:
            return
        if any(error is earlier for earlier in self._first_failures):  # one failure that many questions waited for
            return
        self._first_failures.append(error)
        if hopeless(self._first_failures):
            self._fatal(error)


def hopeless(failures: Sequence[Exception]) -> bool:
    """Whether the first failures say that no row will fare better."""
    if len(failures) == HOPELESS_AFTER and all(isinstance(error, ModelUnavailable) for error in failures):
        return True
    alike = len({str(error) for error in failures}) == 1 and all(type(error) is ModelError for error in failures)
    return alike and len(failures) >= REFUSED_AFTER


def weigh(value: Any) -> int:
    """Bytes that a value takes in memory, roughly.

    >>> weigh("abc") < weigh(["abc"] * 100)
    True
    """
    match value:
        case str() | bytes():
            return 50 + len(value)
        case list() | tuple():
            return 60 + sum(map(weigh, value)) if len(value) < 100 else 60 + len(value) * (8 + weigh(value[0]))
        case dict():
            return 100 + sum(map(weigh, value.values()))
        case _:
            return 32


def key_of(values: Sequence[Any]) -> str | bytes:
    """What stands for a tuple of arguments: equal for those that are one question."""
    first = values[0] if len(values) == 1 else None
    if type(first) is str and len(first) <= SHORT:
        return first
    return _digest(values)


def preview_of(values: Sequence[Any]) -> str:
    """Arguments, shortened, for people.

    >>> preview_of(["a", 1])
    'a, 1'
    """
    return ", ".join(map(_short, values))


def _digest(values: Sequence[Any]) -> bytes:
    # repr and not ==: 0.0 and -0.0 are different inputs to a model, and lists cannot be hashed. A digest, because texts
    # may be long and the memo holds many.
    return hashlib.blake2b(repr(values).encode(errors="surrogatepass"), digest_size=16).digest()


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value[:10] if isinstance(value, list) else value)
    return text if len(text) <= 80 else f"{text[:79]}…"
