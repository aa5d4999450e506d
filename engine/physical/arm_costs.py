"""What a question costs each arm of a call, in money if that is known, else in seconds."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, Literal

from ...optimizer.cost.estimate import TOKENS_OUT, TOKENS_OUT_OTHER
from ...optimizer.kinds_of_prompt import REASONS
from ...udfs.models.base import Generate, ModelSpec, Request
from ...udfs.models.prices import estimate_usd
from ...udfs.prompts.reasons_first import REASON_TOKENS
from ..store import Store
from .batch_size import shared_tokens, tokens
from .known_times import seconds_a_call
from .operators.call_stage import CallStage
from .rows_to_come import Questions as Questions

LOOKED_AT = 64
TYPICAL_TOKENS = (300, 30)
"""Read and written, where models are compared before any prompt is known."""


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
        self._requests = [0] * len(stages)
        self._own: set[int] = {0}
        # A rerun finds its answers: what they took when they were asked is all that is known of their times.
        self._typically = self._priced()
        self._remembered = (
            {} if self._typically else {spec.name: seconds_a_call(store, spec) for store, spec in self._models()}
        )

    def look(self, values: Sequence[Any]) -> None:
        """One of the rows that are compared."""
        if self._rows >= LOOKED_AT:
            return
        self._rows += 1
        put: set[Hashable] = set()
        for arm, stage in enumerate(self._stages):
            requests = stage.task.requests(values)
            usd, so_far = _usd_of_all(stage, requests, values), self._usd[arm]
            self._usd[arm] = None if usd is None or so_far is None else so_far + usd
            self._requests[arm] += len(requests)
            questions = {(stage.caller.spec.name, stage.rows_a_prompt, request) for request in requests}
            if stage.screened is not None:  # what it makes of the answer is another thing
                self._own.add(arm)
                continue
            if not questions <= put:
                self._own.add(arm)
            put |= questions

    def repeats(self, arm: int) -> bool:
        """Whether an arm put no question of its own so far: it is another arm, or the reference, over again."""
        return bool(self._rows) and arm not in self._own

    def of(self) -> Sequence[float]:
        """Per arm: US dollars a question, or seconds of service over questions answered at once.

        One that repeats another is as good as the reference, which is where there is nothing to be saved by it.
        """
        costs = self._with_checks(self._alone())
        return [costs[0] if self.repeats(arm) else cost for arm, cost in enumerate(costs)]

    def of_row(self, values: Sequence[Any]) -> Sequence[float]:
        """Per arm: US dollars for one row, by its prompts and the price list; empty: of some it is not known."""
        found = [usd_a_question(stage, values) for stage in self._stages]
        known = [usd for usd in found if usd is not None]
        return self._with_checks(known) if len(known) == len(found) else ()

    def beside(self) -> list[float]:
        """The same where the reference is asked anyway, so that a check costs nothing more."""
        return [0.0 if self.repeats(arm) else cost for arm, cost in enumerate(self._alone())]

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

    def _models(self) -> Iterator[tuple[Store, ModelSpec]]:
        for stage in self._stages:
            for each in (stage, *stage.beside):
                yield each.caller.run.store, each.caller.spec

    def _priced(self) -> bool:
        """Whether money decides, as far as is known before any prompt is."""
        typical = [estimate_usd(spec, *TYPICAL_TOKENS).usd for _, spec in self._models()]
        return self._objective == "cost" and None not in typical and any(typical)

    @property
    def in_money(self) -> bool:
        """Whether the price of every arm is known, and of some is not nothing; before any row was looked at, of a typical one."""
        if not self._rows:
            return self._typically
        known = [usd for usd in self._usd if usd is not None]
        return len(known) == len(self._usd) and any(known)

    def _alone(self) -> list[float]:
        """Without what is checked."""
        if self._objective == "cost" and self._rows and self.in_money:
            return [(usd or 0.0) / max(1, self._rows) for usd in self._usd]
        return [self._seconds(arm) for arm in range(len(self._stages))]

    def _with_checks(self, costs: Sequence[float]) -> list[float]:
        """What is screened costs the reference, too, for the rows that it checks."""
        shares = [0.0 if stage.screened is None else stage.screened.share for stage in self._stages]
        return [cost + share * costs[0] for cost, share in zip(costs, shares, strict=True)]

    def _seconds(self, arm: int) -> float:
        """Models of a mixture answer at once; what one arm asks after another takes its time each time."""
        stage = self._stages[arm]
        if stage.written is not None:
            return 0.0
        service = max(self._a_call(one) / one.rows_a_prompt / one.caller.concurrency for one in (stage, *stage.beside))
        return service * max(1.0, self._requests[arm] / max(1, self._rows))

    def _a_call(self, stage: CallStage) -> float:
        """Seconds. A question that several arms put is asked once, in the name of one of them."""
        every = (one for made in self._stages for one in (made, *made.beside))
        alike = [one.caller.progress for one in every if one.call.options == stage.call.options]
        calls = sum(each.calls for each in alike)
        if not calls:
            return self._remembered.get(stage.caller.spec.name, 0.0)
        return sum(each.model_seconds for each in alike) / calls


def typical_price(find: Callable[[str], ModelSpec]) -> Callable[[str], float | None]:
    """What a short question costs each model, to compare models by; ``None``: no price is known."""

    def usd(model: str) -> float | None:
        return estimate_usd(find(model), *TYPICAL_TOKENS).usd

    return usd


def _usd_of_all(stage: CallStage, requests: Sequence[Request], values: Sequence[Any]) -> float | None:
    """A question of an arm: what its own model costs, and the models that it asks beside that."""
    found = [_usd(stage, requests), *(usd_a_question(one, values) for one in stage.beside)]
    known = [usd for usd in found if usd is not None]
    return sum(known) if len(known) == len(found) else None


def usd_a_question(stage: CallStage, values: Sequence[Any]) -> float | None:
    """US dollars by the sizes of prompts and the price list; ``None``: no price is known."""
    return _usd_of_all(stage, stage.task.requests(values), values)


def _usd(stage: CallStage, requests: Sequence[Request]) -> float | None:
    total = 0.0
    for request in requests:
        if not isinstance(request, Generate):
            continue
        once = shared_tokens(request) if stage.batching else tokens(request.system)
        # A thousand of them, because the price list takes whole tokens.
        read = round((once / stage.rows_a_prompt + tokens(request.user)) * 1000)
        usd = estimate_usd(stage.caller.spec, read, round(_written(stage, request) * 1000)).usd
        if usd is None:
            return None
        total += usd / 1000
    return total


def _written(stage: CallStage, request: Generate) -> float:
    reason = REASON_TOKENS if stage.call.options.get(REASONS) else 0.0
    return min(request.max_tokens, TOKENS_OUT.get(stage.call.function, TOKENS_OUT_OTHER) + reason)
