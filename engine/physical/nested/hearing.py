"""Lists that are used while the model still writes them: items leave as they are heard, and the rest when the list is there.

What is heard is a guess, for its attempt may fail and another may answer otherwise. So when the list is there, items that
left and are not in it are void; nobody above has shown them yet, because rows of one parent are held until it is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from ..operators.answers import Answers, Rows
from ..operators.leaving import AsAnswered, LooseRows, nobody, together
from ..operators.questions import Question

FROM = pa.field("__from", pa.int64())
"""The number of the list's first element that is to become a row; those before it have."""
VOID = pa.field("__void", pa.int64())
"""How many of the rows made before, from that number on, should not have been."""
LAST = pa.field("__last", pa.bool_())
"""Whether this is the whole list; otherwise it holds only elements that are new."""


def heard_schema(schema: pa.Schema) -> pa.Schema:
    """What leaves a call to which somebody listens."""
    return pa.schema([*schema, FROM, VOID, LAST])


@dataclass(slots=True)
class _Left:
    """What left of one row's list. ``broken``: the model has begun anew and says something else."""

    items: list[Any]
    broken: bool = False

    def news(self, heard: Sequence[Any]) -> list[Any]:
        """Items that have not left."""
        count = len(self.items)
        if self.broken or list(heard[:count]) != self.items:
            self.broken = True
            return []
        return list(heard[count:])

    def agreed(self, value: Sequence[Any]) -> int:
        """How many of those that left are in the list, at their place."""
        pairs = zip(self.items, value, strict=False)
        return next((i for i, (left, there) in enumerate(pairs) if left != there), min(len(self.items), len(value)))


class AsHeard(AsAnswered):
    """Rows leave several times: with new items of their list, and at last with the whole of it."""

    hears = True

    def __init__(self, news: Callable[[], None]) -> None:
        super().__init__(news)
        self._heard: dict[_HeardRows, set[int]] = {}

    @property
    def ready(self) -> bool:
        """Whether some may leave."""
        return super().ready or bool(self._heard)

    def rows(self, batch: pa.RecordBatch) -> Rows:
        """The next micro-batch."""
        self._held += batch.num_rows
        return _HeardRows(batch, self._some, self._more)

    def next(self) -> Rows | None:
        """First what was heard, then what is answered."""
        if self._heard:
            heard, self._heard = self._heard, {}
            return _Early([(rows, sorted(indices)) for rows, indices in heard.items()])
        finals = self._ended()
        if not finals:
            return None
        whole = together([rows.part(indices) for rows, indices in finals])
        self._held -= whole.batch.num_rows
        left = [rows.left.get(i) for rows, indices in finals if isinstance(rows, _HeardRows) for i in indices]
        return _Final(whole, left)

    def batch(self, rows: Rows, answers: Answers) -> pa.RecordBatch:
        """With the column of lists, and what to do with them."""
        return rows.marked(answers) if isinstance(rows, _Early | _Final) else super().batch(rows, answers)

    def _more(self, rows: _HeardRows, index: int) -> None:
        self._heard.setdefault(rows, set()).add(index)
        self._news()


class _HeardRows(LooseRows):
    """A micro-batch whose lists are used as they grow; ``left`` is what did, of the rows of which something was heard."""

    __slots__ = ("_more", "left")

    def __init__(
        self,
        batch: pa.RecordBatch,
        some: Callable[[LooseRows], None],
        more: Callable[[_HeardRows, int], None],
    ) -> None:
        super().__init__(batch, some)
        self._more = more
        self.left: dict[int, _Left] = {}

    def add(self, question: Question | None, new: bool) -> None:
        """The next row's question."""
        index = len(self.questions)
        super().add(question, new)
        if question is not None and not question.done:
            question.hearers.append(partial(self._more, self, index))
            if question.heard:
                self._more(self, index)


class _Early(Rows):
    """Rows with new items of their lists. They stay where they are, so that nothing leaves the window."""

    __slots__ = ("_parts",)

    def __init__(self, parts: list[tuple[_HeardRows, list[int]]]) -> None:
        super().__init__(parts[0][0].batch.slice(0, 0), nobody, 0)
        self._parts = parts

    def marked(self, answers: Answers) -> pa.RecordBatch:
        """The rows that have any."""
        taken: list[pa.RecordBatch] = []
        starts: list[int] = []
        lists: list[list[Any]] = []
        for rows, indices in self._parts:
            of_row = [(i, rows.left[i], news) for i in indices if (news := _news(rows, i, answers))]
            taken.append(rows.taken([i for i, _, _ in of_row]))
            starts += [len(left.items) for _, left, _ in of_row]
            lists += [news for _, _, news in of_row]
            for _, left, news in of_row:
                left.items += news
        batch = answers.append_lists(pa.concat_batches(taken), lists)
        return _marked(batch, starts, [0] * len(starts), last=False)


class _Final(Rows):
    """Rows with the whole of their lists."""

    __slots__ = ("_left",)

    def __init__(self, rows: Rows, left: list[_Left | None]) -> None:
        super().__init__(rows.batch, nobody, rows.bytes)
        self.questions, self.asked = rows.questions, rows.asked
        self._left = left

    def marked(self, answers: Answers) -> pa.RecordBatch:
        """All rows; a list that failed after all has nothing in common with what left of it."""
        batch = answers.append_to(self)
        agreed, void = [0] * batch.num_rows, [0] * batch.num_rows
        there = batch.column(batch.num_columns - 1).is_valid()
        for row, (left, question) in enumerate(zip(self._left, self.questions, strict=True)):
            if left is None:
                continue
            if question is not None and there[row].as_py():
                agreed[row] = left.agreed(question.value)
            void[row] = len(left.items) - agreed[row]
        return _marked(batch, agreed, void, last=True)


def _news(rows: _HeardRows, index: int, answers: Answers) -> list[Any]:
    question = rows.questions[index]
    if question is None or question.done:
        return []  # the whole list leaves next
    left = rows.left.setdefault(index, _Left([]))
    news = left.news(question.heard)
    if news and not answers.fits(news):
        left.broken = True  # a failure of the row, to be booked when the list is there
        return []
    return news


def _marked(batch: pa.RecordBatch, starts: list[int], void: list[int], *, last: bool) -> pa.RecordBatch:
    columns = [pa.array(starts, FROM.type), pa.array(void, VOID.type), pa.array([last] * len(starts), LAST.type)]
    return pa.RecordBatch.from_arrays([*batch.columns, *columns], schema=heard_schema(batch.schema))
