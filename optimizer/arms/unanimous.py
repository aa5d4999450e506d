"""A mixture: cheap models answer, and the call's own model is asked where they do not all say the same."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import combinations

from ...engine.plan.nodes import Arm, SemanticCall
from ..context import Context
from ..kinds_of_prompt import alone, hopeless, second_line

SIZES = (2, 3)
FROM = 4
"""Candidates of which mixtures are made, the cheapest."""
MOST = 1
WORTH = 0.7
"""Of what the reference costs, at most. Models that err on the same hard rows differ less often than is expected here."""


def unanimous(call: SemanticCall, context: Context) -> Iterator[Arm]:
    """The mixture of models, none of which may do alone, that is expected to cost least and to err little enough together."""
    if not alone(call):
        return
    agrees, own = second_line(call, context), str(call.options["model"])
    for models in _mixtures(agrees, own, context)[:MOST]:
        name = f"{', '.join(models[:-1])} and {models[-1]} where they agree, else {own}"
        if not hopeless(name, call, context):
            yield Arm(name, {"model": models[0]}, beside=models[1:])


def _mixtures(agrees: Mapping[str, float], own: str, context: Context) -> list[tuple[str, ...]]:
    """The cheapest first. As if models erred independently: the proof will show how far they do."""
    models, room = list(agrees)[:FROM], 1.0 - (context.policy.min_quality or 1.0)
    found = [mixture for size in SIZES for mixture in combinations(models, size)]
    costs = {mixture: _cost(mixture, agrees, own, context) for mixture in found}
    fits = [m for m in found if costs[m] <= WORTH and math.prod(1.0 - agrees[model] for model in m) <= room]
    return sorted(fits, key=lambda mixture: costs[mixture])


def _cost(mixture: tuple[str, ...], agrees: Mapping[str, float], own: str, context: Context) -> float:
    """As a share of what the call's own model costs; without prices, how often that one is asked."""
    differ = 1.0 - math.prod(agrees[model] for model in mixture)
    theirs, prices = context.price(own), [context.price(model) for model in mixture]
    known = [usd for usd in prices if usd is not None]
    return differ + (sum(known) / theirs if theirs and len(known) == len(prices) else 0.0)


KIND = unanimous
