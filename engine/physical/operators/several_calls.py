"""What inquiries of several calls a row have in common: every call keeps its own books of the rows that reached it."""

from __future__ import annotations

from collections.abc import Sequence

from ...dataflow.run import QueryRun
from .answers import Answers
from .call_stage import CallStage


class SeveralCalls:
    """The part of an ``Inquiry`` that is the same, whichever call is asked when.

    Parameters
    ----------
    stages : the calls. run : the query.
    """

    strict = False

    def __init__(self, stages: Sequence[CallStage], run: QueryRun) -> None:
        self._stages, self._run = stages, run
        self._answers = [Answers(s.call, s.type, run, s.caller.progress) for s in stages]
        self.share = all(stage.call.distinct for stage in stages)
        self.rows_in_flight = max(stage.rows_in_flight for stage in stages)

    def count(self, questions: int) -> None:
        """Nothing: each call counts its own."""

    def judge(self) -> None:
        """See ``Inquiry``."""
        for answers in self._answers:
            answers.judge()

    async def close(self) -> None:
        """See ``Inquiry``."""
        for answers in self._answers:
            await answers.close()
