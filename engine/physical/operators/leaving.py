"""In which order answered rows leave a call: as they came, or each as soon as it can."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

import pyarrow as pa

from .answers import Answers, Rows
from .questions import Question

R = TypeVar("R", bound="LooseRows")


class Leaving(Protocol):
    """Rows under way, and who of them may go.

    Attributes
    ----------
    hears : whether parts of answers are of use. forgives : whether a failed row need not end a query of a strict call.
    """

    hears: bool
    forgives: bool

    @property
    def waiting(self) -> bool:
        """Whether any rows are here."""
        ...

    @property
    def ready(self) -> bool:
        """Whether some may leave."""
        ...

    def rows(self, batch: pa.RecordBatch) -> Rows:
        """A micro-batch that begins; its questions are to be added."""
        ...

    def next(self) -> Rows | None:
        """Rows that leave now; ``None``: none can."""
        ...

    def batch(self, rows: Rows, answers: Answers) -> pa.RecordBatch:
        """Leaving rows with their answers."""
        ...


class InOrder:
    """A micro-batch leaves when it is answered and all before it have left. ``news`` is told when one is answered."""

    hears = forgives = False

    def __init__(self, news: Callable[[], None]) -> None:
        self._heads: deque[Rows] = deque()
        self._news = news

    @property
    def waiting(self) -> bool:
        """Whether any rows are here."""
        return bool(self._heads)

    @property
    def ready(self) -> bool:
        """Whether the first ones may leave."""
        return bool(self._heads) and not self._heads[0].unanswered

    def rows(self, batch: pa.RecordBatch) -> Rows:
        """The next micro-batch."""
        rows = Rows(batch, self._news)
        self._heads.append(rows)
        return rows

    def next(self) -> Rows | None:
        """The first micro-batch, if it is answered."""
        return self._heads.popleft() if self.ready else None

    def batch(self, rows: Rows, answers: Answers) -> pa.RecordBatch:
        """With the answer column."""
        return answers.append_to(rows)


class AsAnswered:
    """A row leaves once it is answered, together with all that are by then: nobody waits for a slow neighbour."""

    hears = forgives = False

    def __init__(self, news: Callable[[], None]) -> None:
        self._news = news
        self._held = 0
        self._answered: list[LooseRows] = []

    @property
    def waiting(self) -> bool:
        """Whether any rows are here."""
        return self._held > 0

    @property
    def ready(self) -> bool:
        """Whether some may leave."""
        return bool(self._answered)

    def rows(self, batch: pa.RecordBatch) -> Rows:
        """The next micro-batch."""
        self._held += batch.num_rows
        return LooseRows(batch, self._some)

    def next(self) -> Rows | None:
        """All answered rows as one micro-batch."""
        if not self._answered:
            return None
        leaving = together([rows.part(indices) for rows, indices in self._ended()])
        self._held -= leaving.batch.num_rows
        return leaving

    def batch(self, rows: Rows, answers: Answers) -> pa.RecordBatch:
        """With the answer column."""
        return answers.append_to(rows)

    def _ended(self) -> list[tuple[LooseRows, list[int]]]:
        """Micro-batches and the rows of each that are answered."""
        answered, self._answered = self._answered, []
        return [(rows, rows.ended()) for rows in answered]

    def _some(self, rows: LooseRows) -> None:
        self._answered.append(rows)
        self._news()


class LooseRows(Rows):
    """A micro-batch that leaves row by row; ``some`` is told when there are answered ones, once until they are taken."""

    __slots__ = ("_answered", "_new", "_some")

    def __init__(self, batch: pa.RecordBatch, some: Callable[[LooseRows], None]) -> None:
        super().__init__(batch, nobody)
        self._some = some
        self._answered: list[int] = []
        self._new: list[bool] = []

    def add(self, question: Question | None, new: bool) -> None:
        """The next row's question."""
        index = len(self.questions)
        self.questions.append(question)
        self._new.append(new)
        self.asked += new
        if question is None or question.done:
            self._end(index)
        else:
            question.listeners.append(partial(self._end, index))

    def ended(self) -> list[int]:
        """The rows that were answered since the last time, in order."""
        answered, self._answered = self._answered, []
        return sorted(answered)

    def part(self, indices: list[int]) -> Rows:
        """Some of the rows, for good."""
        count = self.batch.num_rows
        if len(indices) == count:
            part = Rows(self.batch, nobody, self.bytes)
            part.questions, part.asked = self.questions, self.asked
            return part
        # Their share of the micro-batch's bytes, so that what comes in is what goes out, to the byte.
        size = sum(self.bytes * (i + 1) // count - self.bytes * i // count for i in indices)
        part = Rows(self.taken(indices), nobody, size)
        part.questions = [self.questions[i] for i in indices]
        part.asked = sum(self._new[i] for i in indices)
        return part

    def taken(self, indices: list[int]) -> pa.RecordBatch:
        """These rows alone."""
        whole = len(indices) == self.batch.num_rows
        return self.batch if whole else self.batch.take(pa.array(indices, pa.int64()))

    def _end(self, index: int) -> None:
        self._answered.append(index)
        if len(self._answered) == 1:
            self._some(self)


def together(parts: list[Rows]) -> Rows:
    """Several micro-batches as one."""
    if len(parts) == 1:
        return parts[0]
    batch = pa.concat_batches([part.batch for part in parts])
    rows = Rows(batch, nobody, sum(part.bytes for part in parts))
    for part in parts:
        rows.questions += part.questions
    rows.asked = sum(part.asked for part in parts)
    return rows


def nobody() -> None:
    """Nobody waits for the last of them."""
