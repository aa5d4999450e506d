"""Who may answer for a call under its promise, made ready to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from ....optimizer.cascades.certificate import Prices
from ...dataflow.run import QueryRun
from ...plan.cascade import Cascade
from ...plan.nodes import Arm, SemanticCall
from ..arm_costs import usd_a_question
from ..operators.call import WINDOW_FACTOR
from ..operators.call_stage import CallStage, Proxied
from .expression_proxy import NAME, LabelProxy, ScoreProxy
from .learnt import KINDS, learnt_proxied
from .model_proxy import ModelProxy, note_of
from .proxy import Proxy
from .reference import Key
from .subject import subject_of
from .vectors import Models

Price = Callable[[Sequence[Any]], float | None]
"""US dollars for one input; ``None``: not known."""


def proxied(
    reference: CallStage,
    cascade: Cascade,
    run: QueryRun,
    arm: Callable[[SemanticCall, Arm], CallStage],
    models: Models,
) -> Proxied:
    """Who may answer, by the promise.

    Parameters
    ----------
    reference : the call as written. arm : its stage with another model. models : opens embedding models.

    Raises
    ------
    BindError : the promise names somebody who is not there, or cannot answer the call.
    """
    if cascade.proxy in KINDS:
        return learnt_proxied(reference, cascade, run, models)
    if cascade.proxy == "expression":
        prices = partial(_prices, partial(usd_a_question, reference), _nothing)
        return Proxied(cascade, NAME, partial(_of_scores, reference.call), prices)
    if not cascade.name:
        return Proxied(
            cascade, "", None, _unknown, "no model was chosen to answer for it: name one with proxy := 'its name'"
        )
    return _by_model(reference, cascade, arm(reference.call, Arm(cascade.name, {"model": cascade.name})))


def _by_model(reference: CallStage, cascade: Cascade, stage: CallStage) -> Proxied:
    prices = partial(_prices, partial(usd_a_question, reference), partial(usd_a_question, stage))
    most = WINDOW_FACTOR * stage.rows_in_flight
    return Proxied(cascade, cascade.name, lambda _: ModelProxy(stage, most), prices, note=note_of(stage))


def _of_scores(call: SemanticCall, scores: Mapping[Key, Any]) -> Proxy:
    if call.output.type == "BOOLEAN":
        return ScoreProxy(scores)
    subject = subject_of(call)
    return LabelProxy(scores, () if subject is None else subject.labels)


def _prices(reference: Price, proxy: Price, inputs: Sequence[Sequence[Any]]) -> Prices | None:
    """Means over some inputs, as far as all are known and something costs something."""
    pairs = [(reference(values), proxy(values)) for values in inputs]
    known = [(one, other) for one, other in pairs if one is not None and other is not None]
    if not known or len(known) < len(pairs) or not any(one for one, _ in known):
        return None
    ours, theirs = (sum(column) / len(known) for column in zip(*known, strict=True))
    return Prices(ours, theirs)


def _nothing(values: Sequence[Any]) -> float:
    del values
    return 0.0


def _unknown(inputs: Sequence[Sequence[Any]]) -> None:
    del inputs
