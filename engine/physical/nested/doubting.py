"""A call with ``on_error = 'fail'`` above lists that the model is still writing: a failed row may be one that is taken back.

Such a row leaves here, and its failure waits with the other guesses until its list is final (:mod:`.guesses`).
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from ...errors import BudgetExceeded, DataError, ModelError
from ..operators.answers import Answers, Rows
from ..operators.leaving import AsAnswered, nobody
from ..operators.questions import Question
from .ancestry import Ancestry, paths


class Doubting(AsAnswered):
    """Rows leave as they are answered; what failed on a guess does not.

    Parameters
    ----------
    ancestry : of the operators above, who are told that a row will not arrive.
    """

    forgives = True

    def __init__(self, ancestry: Ancestry, news: Callable[[], None]) -> None:
        super().__init__(news)
        self._ancestry = ancestry

    def batch(self, rows: Rows, answers: Answers) -> pa.RecordBatch:
        """With the answer column, without doubtful rows that failed."""
        found, guesses = paths(rows.batch), self._ancestry.guesses
        asked = zip(rows.questions, found, strict=True)
        failed = [i for i, (question, path) in enumerate(asked) if guesses.doubt(path) and _fails(question, answers)]
        if not failed:
            return super().batch(rows, answers)
        for index in failed:
            self._put_off(_some(rows, [index]), answers)
        left = _some(rows, [i for i in range(len(found)) if i not in failed])
        self._ancestry.gone(found[i] for i in failed)
        return super().batch(left, answers)

    def _put_off(self, row: Rows, answers: Answers) -> None:
        try:
            answers.append_to(row)
        except (ModelError, DataError) as error:
            self._ancestry.failed(row.batch, error)


def _fails(question: Question | None, answers: Answers) -> bool:
    """Whether its row fails the query."""
    if question is None:
        return False
    if question.error is not None:
        return not isinstance(question.error, BudgetExceeded)
    return not answers.fits(question.value)


def _some(rows: Rows, indices: list[int]) -> Rows:
    some = Rows(rows.batch.take(pa.array(indices, pa.int64())), nobody, 0)
    some.questions = [rows.questions[i] for i in indices]
    return some
