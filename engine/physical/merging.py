"""What the ways to answer a group of calls cost, how they agree, and what of it the store has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ...optimizer.cost.estimate import TOKENS_OUT, TOKENS_OUT_OTHER
from ...optimizer.search.agreement import agreement
from ...optimizer.search.chooser import LEAST_POSITIVES
from ...optimizer.search.tally import Tally
from ...udfs.models.base import Generate
from ...udfs.models.prices import estimate_usd
from .arm_costs import usd_a_question
from .batch_size import tokens
from .operators.call_stage import CallStage, Way
from .operators.merged import one_prompt

LOOKED_AT = 64
DEAR = 1e12
"""Costs of what cannot be asked."""


def agreement_of_all(mine: Sequence[Any], theirs: Sequence[Any]) -> float:
    """1 less what the parts disagree in, together: a row is as the reference's unless one of them disagreed.

    A part that failed has not agreed; where the reference's failed, nothing can be compared.

    >>> agreement_of_all([True, "a"], [True, "b"]), agreement_of_all([True, ValueError()], [True, ValueError()])
    (0.0, 1.0)
    """
    compared = [pair for pair in zip(mine, theirs, strict=True) if not isinstance(pair[1], BaseException)]
    lost = sum(1.0 if isinstance(one, BaseException) else 1.0 - agreement(one, other) for one, other in compared)
    return max(0.0, 1.0 - lost)


class KeptRows:
    """What the filters of a group keep, in each way and by the reference: each has to reach the target in F1.

    Parameters
    ----------
    filters : places of the calls that are TRUE or not.
    """

    def __init__(self, filters: Sequence[int]) -> None:
        self._filters = filters
        self._tallies: dict[tuple[int, int], Tally] = {}

    def see(self, arm: int, mine: Sequence[Any], theirs: Sequence[Any]) -> None:
        """The answers of an arm and of the reference to one row."""
        for place in self._filters:
            tally = self._tallies.setdefault((arm, place), Tally())
            tally.see(0.0, mine[place], theirs[place])

    def enough(self, arm: int, target: float) -> bool:
        """Whether an arm keeps what the reference keeps."""
        made = [self._tallies.get((arm, place), Tally()) for place in self._filters]
        return all(tally.kept_theirs >= LEAST_POSITIVES and tally.f1() >= target for tally in made)


class WayCosts:
    """Costs of a row of the group's first call, from the prompts of the first rows, or from the times of calls.

    Parameters
    ----------
    ways : the calls as written first. reach : the share of these rows that each call sees.
    objective : ``time`` counts seconds even where prices are known.
    """

    def __init__(self, ways: Sequence[Way], reach: Sequence[float], objective: Literal["cost", "time"]) -> None:
        self._ways, self._reach, self._objective = ways, reach, objective
        self._rows = 0
        self._usd: list[float | None] = [0.0] * len(ways)

    def look(self, values: Sequence[Any]) -> None:
        """One of the rows that are compared."""
        if self._rows >= LOOKED_AT:
            return
        self._rows += 1
        for arm, way in enumerate(self._ways):
            usd, so_far = self._usd_of(way, values), self._usd[arm]
            self._usd[arm] = None if usd is None or so_far is None else so_far + usd

    @property
    def usd(self) -> Mapping[int, float | None]:
        """Per way: US dollars a row by its prompts and the price list; ``None``: no price is known."""
        rows = max(1, self._rows)
        return {arm: None if usd is None or not self._rows else usd / rows for arm, usd in enumerate(self._usd)}

    def of(self) -> Sequence[float]:
        """Per way: US dollars a row, or seconds of service over questions answered at once."""
        known = [usd for usd in self._usd if usd is not None]
        if self._objective == "cost" and len(known) == len(self._usd) and any(known):
            return [usd / max(1, self._rows) for usd in known]
        return [self._seconds(way) for way in self._ways]

    def _usd_of(self, way: Way, values: Sequence[Any]) -> float | None:
        if way.together:
            asked = one_prompt(way, values)
            return DEAR if asked is None else _usd(way.stages, asked.request)
        alone = [usd_a_question(stage, values) for stage in way.stages]
        known = [usd * share for usd, share in zip(alone, self._reach, strict=True) if usd is not None]
        return sum(known) if len(known) == len(alone) else None

    def _seconds(self, way: Way) -> float:
        if way.together:
            return _seconds(way.stages[0])
        return sum(_seconds(stage) * share for stage, share in zip(way.stages, self._reach, strict=True))


def _usd(stages: Sequence[CallStage], request: Generate) -> float | None:
    """US dollars for a prompt that asks for what all calls ask for."""
    out = sum(TOKENS_OUT.get(stage.call.function, TOKENS_OUT_OTHER) for stage in stages)
    sent = tokens(request.system) + tokens(request.user)
    # A thousand of them, because the price list takes whole tokens.
    usd = estimate_usd(stages[0].caller.spec, round(sent * 1000), round(out * 1000)).usd
    return None if usd is None else usd / 1000


def _seconds(stage: CallStage) -> float:
    progress = stage.caller.progress
    rows = stage.batching.size.most if stage.batching else 1
    return progress.model_seconds / max(1, progress.calls) / rows / stage.caller.concurrency


class PaidFor:
    """Whether a row is answered as cheaply by the calls as written, since the store has their answers.

    Parameters
    ----------
    ways : the calls as written first.
    """

    def __init__(self, ways: Sequence[Way]) -> None:
        self._ways = ways

    async def __call__(self, values: Sequence[Any], arm: int) -> bool:
        """All of them but one, at least, and not the answer of the way that would serve."""
        way = self._ways[arm]
        asked = one_prompt(way, values) if way.together else None
        if asked is None or await way.stages[0].caller.has(asked.request):
            return False
        missing = 0
        for stage in self._ways[0].stages:
            found = [await stage.caller.has(request) for request in stage.task.requests(values)]
            missing += not all(found)
        return missing <= 1
