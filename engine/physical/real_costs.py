"""What the arms of a call really cost: bills and times of its answers, for who decides which of them serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ...optimizer.search.assignment import Assignment
from ...optimizer.search.serving import Row, Serving
from ...udfs.models.base import Generate, Request
from ...udfs.prompts.batched import batchable, row_key
from ..errors import Error
from .arm_costs import ArmCosts
from .operators.billed import Bill
from .operators.call_stage import CallStage

EVERY = 8
"""One row in so many is looked at while an arm serves: what a prompt should cost takes time to work out."""
FAR = 4
"""Rows wait for those that are so many times the rows in flight before them: about as long as four calls take."""


class RealCosts:
    """Follows arms that are asked alone; rows that share a prompt, and arms that ask the reference now and then, have no bills of
    their own, and cost what their prompts and the times of their calls say.

    Parameters
    ----------
    stages : the reference first. planned : what they should cost. objective : ``time`` counts seconds even where prices are known.

    Attributes
    ----------
    serving : who decides.
    """

    def __init__(self, stages: Sequence[CallStage], planned: ArmCosts, objective: Literal["cost", "time"]) -> None:
        self._stages, self._planned, self._objective = stages, planned, objective
        self._alone = [not (stage.batching or stage.screened) for stage in stages]
        checked = [([stages[0]] if stage.screened else []) for stage in stages]
        asked = zip(stages, checked, strict=True)
        self._callers = [[each.caller for each in (stage, *stage.beside, *more)] for stage, more in asked]
        self.serving = Serving(len(stages), planned.of, self._lag, self._down)

    def of(self) -> Sequence[float]:
        """What a question costs each arm, as far as is known by now: US dollars, or seconds over questions answered at once."""
        costs = self.serving.costs()
        return [costs[0] if self._planned.repeats(arm) else cost for arm, cost in enumerate(costs)]

    def beside(self) -> Sequence[float]:
        """The same where the reference is asked anyway."""
        whole = zip(self._planned.beside(), self.of(), self._planned.of(), strict=True)
        return [cost * real / planned if planned else cost for cost, real, planned in whole]

    def ended(self, assignment: Assignment, values: Sequence[Any], bills: Mapping[int, Bill]) -> None:
        """A row is answered; ``bills`` : of arms that answered it and were to be paid."""
        compared = assignment.phase == "profile"
        if self._lag(assignment.serve) is None:
            spent = {arm: bill.seconds / self._lanes(arm) for arm, bill in bills.items() if bill.seconds}
            row = Row({arm: seconds for arm, seconds in spent.items() if self._alone[arm]})
        elif assignment.phase == "serve" and assignment.number % EVERY:
            row = Row()
        else:
            row = self._paid(self._sizes(values), bills)
        self.serving.ended(assignment.number, row, compared=compared)

    def served(self, arm: int, *, failed: bool) -> None:
        """How a question to an arm ended."""
        self.serving.served(arm, failed=failed)

    async def found(self, arm: int, values: Sequence[Any]) -> bool:
        """Whether an arm's answer for a row is in the store; that it asked the reference, too, is not looked for."""
        stage = self._stages[arm]
        return all([await paid_for(each, values) for each in (stage, *stage.beside)])

    def _paid(self, sizes: Sequence[float], bills: Mapping[int, Bill]) -> Row:
        known = {arm: bill.usd for arm, bill in bills.items() if bill.replies and bill.usd is not None}
        spent = {arm: usd / sizes[arm] for arm, usd in known.items() if sizes and sizes[arm] and self._alone[arm]}
        return Row(spent, sizes)

    def _sizes(self, values: Sequence[Any]) -> Sequence[float]:
        try:
            return self._planned.of_row(values)
        except (Error, ValueError, TypeError, AttributeError, LookupError):
            return ()  # no request can be made: whoever asks the row will say so

    def _lag(self, serving: int) -> int | None:
        timed = self._objective == "time" or not self._planned.in_money
        return None if timed else FAR * self._stages[serving].rows_in_flight

    def _lanes(self, arm: int) -> int:
        """Calls at once, now: an endpoint that refuses some gets fewer."""
        caller = self._stages[arm].caller
        return max(1, min(caller.concurrency, caller.lanes or caller.concurrency))

    def _down(self, arm: int) -> bool:
        return any(caller.barred for caller in self._callers[arm])


async def paid_for(stage: CallStage, values: Sequence[Any]) -> bool:
    """Whether all that a row asks has been answered before."""
    return all([await _has(stage, request) for request in stage.task.requests(values)])


async def _has(stage: CallStage, request: Request) -> bool:
    if stage.batching is None or not isinstance(request, Generate) or not batchable(request):
        return await stage.caller.has(request)
    run, size = stage.caller.run, stage.batching.size
    key = row_key(stage.batching.identity, request, size.option)
    found = await run.lookups.find(key) if stage.batching.cache else run.unstored.get(key)
    return found is not None
