"""What embedded calls may cost at most, by the inputs that a first run finds; nothing is asked of a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ...optimizer.cost.estimate import Price
from ...udfs.models.base import Generate, Request
from ..dataflow.run import QueryRun
from ..errors import Error
from ..plan.nodes import Relation, SemanticCall
from .duck import Duck
from .estimates import CHARACTERS_PER_TOKEN, characters
from .inputs import Inputs
from .operators.call_stage import CallStage
from .prefetch import found_beforehand
from .stages import Stages

A_MILLION = 1e6
MEASURED = 2000
"""Inputs of a call, evenly chosen, whose prompts are measured; the others count as their mean."""


def most_usd(duck: Duck, plan: Relation, run: QueryRun, stages: Stages, price: Price) -> Mapping[str, float]:
    """US dollars per call, by the name of its answer; a call that is missing may cost anything.

    Parameters
    ----------
    plan : the statement. Its first run is made only where it may cost something. run : a query that asks nothing.
    """
    if not plan.prefetch or not any(price(_model(call), A_MILLION, A_MILLION) for call in plan.embedded):
        return {}
    found = found_beforehand(duck, run, plan, stages)
    if found is None or any(inputs.full for inputs in found):
        return {}
    money = {
        call.output.name: _usd(inputs, stages.stage(call), price)
        for call, inputs in zip(plan.embedded, found, strict=True)
    }
    return {name: usd for name, usd in money.items() if usd is not None}


def _usd(inputs: Inputs, stage: CallStage, price: Price) -> float | None:
    """``None``: the price is unknown, or how long a prompt will be."""
    if not len(inputs):
        return 0.0
    measured = list(inputs)[:: 1 + len(inputs) // MEASURED]
    try:
        sizes = [_tokens(stage.task.requests(values)) for values in measured]
    except (Error, ValueError, TypeError, AttributeError, LookupError):
        return None
    times = len(inputs) / len(measured)
    preparing = stage.task.preparation()
    tokens_in = times * sum(size for size, _ in sizes) + _tokens(preparing)[0]
    return price(_model(stage.call), tokens_in, times * sum(most for _, most in sizes) + len(preparing))


def _tokens(requests: Iterable[Request]) -> tuple[float, int]:
    """Tokens in, and the most that may come out."""
    asked: Sequence[Request] = list(requests)
    most = sum(request.max_tokens for request in asked if isinstance(request, Generate))
    return sum(map(characters, asked)) / CHARACTERS_PER_TOKEN, most


def _model(call: SemanticCall) -> str:
    return str(call.options["model"])
