"""What a question costs, from the size of its prompt and not from the bill: an answer that is found costs nothing, and a
rerun would then decide otherwise than the run whose answers it finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...optimizer.cost.estimate import TOKENS_OUT, TOKENS_OUT_OTHER
from ...udfs.models.base import Generate
from ...udfs.models.prices import estimate_usd
from ..errors import Error
from .batch_size import tokens
from .operators.call_stage import CallStage

A_THOUSAND = 1000
SMALLEST_USD = 1e-9
"""Sums of whole numbers of it do not depend on the order in which answers come."""


class QuestionCosts:
    """Costs in money where the price of every call is known, else in tokens.

    Parameters
    ----------
    stages : of the calls, each with prompts of its own.
    """

    def __init__(self, stages: Sequence[CallStage]) -> None:
        self._stages = stages
        prices = [_prices(stage) for stage in stages]
        known = [price for price in prices if price is not None and any(price)]
        self._prices = known if len(known) == len(prices) else [(1.0, 1.0)] * len(stages)

    def of(self, place: int, values: Sequence[Any]) -> float:
        """Of one question, by the place of its call: a whole number."""
        stage, (price_in, price_out) = self._stages[place], self._prices[place]
        out = TOKENS_OUT.get(stage.call.function, TOKENS_OUT_OTHER)
        try:
            asked = [request for request in stage.task.requests(values) if isinstance(request, Generate)]
        except (Error, ValueError, TypeError, AttributeError, LookupError):
            return 0.0  # no request can be made: whoever asks the row will say so, and it costs nothing
        cost = sum(_size(request) * price_in + min(request.max_tokens, out) * price_out for request in asked)
        return float(round(cost))


def _size(request: Generate) -> int:
    return tokens(request.system) + tokens(request.user)


def _prices(stage: CallStage) -> tuple[float, float] | None:
    """Of a token in and of one out, in ``SMALLEST_USD``; ``None``: not known."""
    price_in = estimate_usd(stage.caller.spec, A_THOUSAND, 0).usd
    price_out = estimate_usd(stage.caller.spec, 0, A_THOUSAND).usd
    if price_in is None or price_out is None:
        return None
    return price_in / A_THOUSAND / SMALLEST_USD, price_out / A_THOUSAND / SMALLEST_USD
