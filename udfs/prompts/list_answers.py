"""Questions whose answers are lists: asked together, joined in their order, and known item by item while they are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ..models.base import Generate, Reply
from ..models.hearing import hearing
from .folding import AskText, ended
from .incremental import ListItems

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ListQuestion(Generic[T]):
    """A question, and how its answer is read.

    Parameters
    ----------
    request : the question. key : the list's, in the answer's object.
    read : the items of the whole answer; raises ``InvalidAnswer``.
    reader : makes a function that is given the list's elements one after the other, and gives the items that each makes in
        ``read``; it raises ``ValueError`` where ``read`` would refuse the answer.
    bare : the answer may also be the list alone.
    """

    request: Generate
    key: str
    read: Callable[[Reply], list[T]]
    reader: Callable[[], Callable[[Any], Sequence[T]]]
    bare: bool = False


async def listed(
    questions: Sequence[ListQuestion[T]], ask: AskText, heard: Callable[[list[T]], None] | None = None
) -> list[T]:
    """The items of all answers, in order. The first failure is raised, but only when every call has ended.

    Parameters
    ----------
    heard : given all items known so far, as they would stand in the result, whenever these are others than before. Items of
        a later question are known only when the answers before it are. An answer that breaks off or is refused takes its
        items back.
    """
    if heard is None:
        answers = await ended(ask(question.request, question.read) for question in questions)
    else:
        answers = await _Hearing(questions, heard).asked(ask)
    return [item for answer in answers for item in answer]


class _Hearing(Generic[T]):
    def __init__(self, questions: Sequence[ListQuestion[T]], heard: Callable[[list[T]], None]) -> None:
        self._answers = [_Answer(question, self._grown) for question in questions]
        self._heard = heard
        self._told: list[T] = []

    async def asked(self, ask: AskText) -> list[list[T]]:
        return await ended(answer.ask(ask) for answer in self._answers)

    def _grown(self) -> None:
        known: list[T] = []
        for answer in self._answers:
            known += answer.items
            if not answer.known:
                break
        else:
            return  # the result comes now
        if known and known != self._told:
            self._told = known
            self._heard(known)


class _Answer(Generic[T]):
    """One answer: the items heard so far, and in the end those of the answer as it was judged."""

    def __init__(self, question: ListQuestion[T], grown: Callable[[], None]) -> None:
        self._question, self._grown = question, grown
        self.items: list[T] = []
        self.known = False

    async def ask(self, ask: AskText) -> list[T]:
        with hearing(self):  # in a task of its own, as all that is gathered
            self.items = await ask(self._question.request, self._question.read)
        self.known = True
        self._grown()
        return self.items

    def begin(self) -> None:
        self._elements, self._read = ListItems(self._question.key, bare=self._question.bare), self._question.reader()
        self._refused = False
        self.items = []

    def text(self, delta: str) -> None:
        elements = () if self._refused else self._elements.feed(delta)
        before = len(self.items)
        try:
            for element in elements:
                self.items += self._read(element)
        except ValueError:
            self._refused = True
        if len(self.items) > before:
            self._grown()
