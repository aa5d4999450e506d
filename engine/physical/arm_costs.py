"""What a question costs each arm of a call, in money if that is known, else in seconds; and how many there will be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ...optimizer.cost.estimate import TOKENS_OUT, TOKENS_OUT_OTHER
from ...udfs.models.base import Generate
from ...udfs.models.prices import estimate_usd
from ..dataflow.progress import SiteProgress
from .batch_size import shared_tokens, tokens
from .operators.call_stage import CallStage

LOOKED_AT = 64


class Questions:
    """How many questions a call site will put: its rows, less those that repeat others or need no call.

    Parameters
    ----------
    progress : of the call site.
    """

    def __init__(self, progress: SiteProgress) -> None:
        self._progress, self._come = progress, 0

    def one(self) -> None:
        """One has come."""
        self._come += 1

    def expected(self) -> float | None:
        """All of them; ``None``: nobody knows how many rows there are."""
        if self._progress.rows_total is None:
            return None
        return self._progress.rows_total * self._come / max(1, self._progress.rows_in)


class ArmCosts:
    """Costs from the prompts of the first rows, and from the times of calls.

    Money comes from the sizes of prompts and the price list, not from the bill: an answer that was found costs nothing, and
    a rerun would then choose otherwise than the run whose answers it finds.

    Parameters
    ----------
    stages : the reference first. objective : ``time`` counts seconds even where prices are known.
    """

    def __init__(self, stages: Sequence[CallStage], objective: Literal["cost", "time"]) -> None:
        self._stages, self._objective = stages, objective
        self._rows = 0
        self._usd: list[float | None] = [0.0] * len(stages)

    def look(self, values: Sequence[Any]) -> None:
        """One of the rows that are compared."""
        if self._rows >= LOOKED_AT:
            return
        self._rows += 1
        for arm, stage in enumerate(self._stages):
            usd, so_far = usd_a_question(stage, values), self._usd[arm]
            self._usd[arm] = None if usd is None or so_far is None else so_far + usd

    def of(self) -> Sequence[float]:
        """Per arm: US dollars a question, or seconds of service over questions answered at once."""
        return self._with_checks(self.beside())

    def beside(self) -> list[float]:
        """The same where the reference is asked anyway, so that a check costs nothing more."""
        if self._objective == "cost" and self.in_money:
            return [(usd or 0.0) / max(1, self._rows) for usd in self._usd]
        return [self._seconds(stage) for stage in self._stages]

    @property
    def usd(self) -> Mapping[int, float | None]:
        """Per arm: US dollars a question by its prompt and the price list; ``None``: no price is known."""
        if not self._rows:
            return {}
        known = self._with_checks([(usd or 0.0) / self._rows for usd in self._usd])
        reference = self._usd[0]
        unknown = [
            u is None or (s.screened and reference is None) for u, s in zip(self._usd, self._stages, strict=True)
        ]
        return {arm: None if unknown[arm] else usd for arm, usd in enumerate(known)}

    @property
    def in_money(self) -> bool:
        """Whether the price of every arm is known, and of some is not nothing."""
        known = [usd for usd in self._usd if usd is not None]
        return len(known) == len(self._usd) and any(known)

    def _with_checks(self, costs: Sequence[float]) -> list[float]:
        """What is screened costs the reference, too, for the rows that it checks."""
        shares = [0.0 if stage.screened is None else stage.screened.share for stage in self._stages]
        return [cost + share * costs[0] for cost, share in zip(costs, shares, strict=True)]

    def _seconds(self, stage: CallStage) -> float:
        progress = stage.caller.progress
        rows = stage.batching.size.most if stage.batching else 1
        return progress.model_seconds / max(1, progress.calls) / rows / stage.caller.concurrency


def usd_a_question(stage: CallStage, values: Sequence[Any]) -> float | None:
    """US dollars by the sizes of prompts and the price list; ``None``: no price is known."""
    total = 0.0
    for request in stage.task.requests(values):
        if not isinstance(request, Generate):
            continue
        once = shared_tokens(request) if stage.batching else tokens(request.system)
        size = stage.batching.size.most if stage.batching else 1
        out = min(request.max_tokens, TOKENS_OUT.get(stage.call.function, TOKENS_OUT_OTHER))
        # A thousand of them, because the price list takes whole tokens.
        usd = estimate_usd(stage.caller.spec, round((once / size + tokens(request.user)) * 1000), round(out * 1000)).usd
        if usd is None:
            return None
        total += usd / 1000
    return total
