"""Many texts into one answer: in one call where they fit, otherwise chunk by chunk, and then what the chunks gave.

Every text is in exactly one chunk, every chunk's notes in exactly one merge. Chunks are cut by characters, so that a
group is asked the same way whatever the model, and its answers stay in the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..models.base import Answer, Generate, Reply, TextAnswer
from .inputs import DATA_RULE, fields, render

CHUNK_CHARACTERS = 6_000
"""Input of one call. About 1,500 tokens of English: with the answer it fits the 4,096-token windows of small local models,
also in languages that take twice the tokens a character."""

T = TypeVar("T")
AskText = Callable[[Generate, Callable[[Reply], Any]], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Step:
    """How one kind of call is asked.

    Parameters
    ----------
    system : the task. question : what stands after so many inputs. answer : what the reply must be.
    """

    system: str
    question: Callable[[int], str]
    answer: Answer = field(default_factory=TextAnswer)


@dataclass(frozen=True, slots=True)
class Fold:
    """The calls that fold a group.

    Parameters
    ----------
    name : of the texts. notes : of what the chunks give.
    whole : all texts in one call. part : one chunk of many, to notes. merge : notes to fewer notes. last : the last notes
        to the answer.
    read, read_notes : read the answer, and the notes, of a reply.
    """

    name: str
    notes: str
    whole: Step
    part: Step
    merge: Step
    last: Step
    read: Callable[[Reply], Any]
    read_notes: Callable[[Reply], str]
    temperature: float
    max_tokens: int

    async def run(self, texts: Sequence[Any], ask: AskText) -> Any:
        """The answer about all texts; ``None`` for none.

        Rounds of merging halve the notes at least, so they end.
        """
        requests = self.requests(texts)
        if len(requests) < 2:
            return await ask(requests[0], self.read) if requests else None
        notes = await gathered(ask, requests, self.read_notes)
        while len(packed := chunks(notes, self.notes, at_least=2)) > 1:
            notes = await self._merged(packed, ask)
        return await ask(self._request(self.last, self.notes, packed[0]), self.read)

    def requests(self, texts: Sequence[Any]) -> list[Generate]:
        """The first round: one request a chunk."""
        packed = chunks((piece for value in texts for piece in pieces(render(value))), self.name, at_least=1)
        step = self.whole if len(packed) < 2 else self.part
        return [self._request(step, self.name, chunk) for chunk in packed]

    async def _merged(self, packed: Sequence[Sequence[str]], ask: AskText) -> list[str]:
        # Two or more notes a call, whatever their length; one left over waits for the next round.
        *full, last = packed
        alone = list(last) if len(last) == 1 else []
        merging = full if alone else [*full, last]
        requests = [self._request(self.merge, self.notes, chunk) for chunk in merging]
        return [*await gathered(ask, requests, self.read_notes), *alone]

    def _request(self, step: Step, name: str, texts: Sequence[str]) -> Generate:
        names = [f"{name} {number}" for number, _ in enumerate(texts, 1)]
        # The question comes last, and apart: a small model that has read the inputs last repeats them.
        user = f"{fields(names, texts)}\n\n{step.question(len(texts))}"
        return Generate(f"{step.system}\n{DATA_RULE}", user, step.answer, self.temperature, self.max_tokens)


async def gathered(ask: AskText, requests: Sequence[Generate], read: Callable[[Reply], T]) -> list[T]:
    """All answers, in order; see :func:`ended`."""
    return await ended(ask(request, read) for request in requests)


async def ended(asked: Iterable[Awaitable[T]]) -> list[T]:
    """What was asked, in order; the first failure is raised, but only when every call has ended.

    What was asked for is paid for, and is kept.
    """
    replies = await asyncio.gather(*asked, return_exceptions=True)
    return [_raised(reply) for reply in replies]


def _raised(reply: Any) -> Any:
    if isinstance(reply, BaseException):
        raise reply
    return reply


def pieces(text: str) -> Iterator[str]:
    """``text`` cut into pieces of at most a chunk, at white space where there is any in the last fifth of a piece."""
    start = 0
    while len(text) - start > CHUNK_CHARACTERS:
        end = start + CHUNK_CHARACTERS
        blank = max(text.rfind(mark, end - CHUNK_CHARACTERS // 5, end) for mark in (" ", "\n"))
        end = blank + 1 if blank >= 0 else end
        yield text[start:end]
        start = end
    yield text[start:]


def chunks(texts: Iterator[str] | Sequence[str], name: str, at_least: int) -> list[list[str]]:
    """Texts in their order, packed to at most ``CHUNK_CHARACTERS`` a chunk once it has ``at_least`` texts."""
    packed: list[list[str]] = []
    size = 0
    label = len(f"{name} 1000: \n")  # thousands of two-letter texts are mostly labels
    for text in texts:
        if not packed or (len(packed[-1]) >= at_least and size + label + len(text) > CHUNK_CHARACTERS):
            packed.append([])
            size = 0
        packed[-1].append(text)
        size += label + len(text)
    return packed
