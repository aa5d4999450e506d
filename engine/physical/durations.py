"""What is known of the times of a call site before it asks: how long calls of its model took, and how many it makes at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ...optimizer.cost.figure import Figure, guess
from ...optimizer.cost.wall import StageTime
from ...udfs.models.registry import addresses
from ..dataflow.calibration import Calibration
from ..dataflow.resources import Service
from ..plan.nodes import SemanticCall
from ..store import Store
from .known_times import times
from .stages import Stages

A_MINUTE = 60.0
OTHERWISE = 1.5
"""Factor by which another task's calls of as many tokens may take longer or less long."""


def services(store: Store, stages: Stages) -> Callable[[SemanticCall, float], Figure | None]:
    """Seconds of one call of so many tokens, by what calls of other tasks of its model have taken at its endpoint."""
    known: dict[str, tuple[Service, int]] = {}

    def seconds(call: SemanticCall, tokens: float) -> Figure | None:
        spec = stages.stage(call).caller.spec
        if spec.name not in known:
            learnt = Calibration.of(times(store, spec))
            known[spec.name] = (learnt.service(), learnt.calls)
        service, calls = known[spec.name]
        if not calls:
            return None
        return guess(service.seconds(tokens), f"calibration by {calls:,} calls of {spec.name}", OTHERWISE)

    return seconds


def stage_times(stages: Stages) -> Callable[[SemanticCall, Figure, Figure, Figure, float], StageTime]:
    """Makes the time of a call site of what was estimated: calls, seconds of all and of one, and tokens."""
    return partial(_stage_time, stages)


def _stage_time(
    stages: Stages, call: SemanticCall, calls: Figure, work: Figure, a_call: Figure, tokens: float
) -> StageTime:
    caller = stages.stage(call).caller
    rpm, tpm = caller.spec.options.get("rpm"), caller.spec.options.get("tpm")
    # What a rate allows at once is gone in the first minute.
    waits = [(calls.value, rpm), (tokens, tpm)]
    at_least = max((A_MINUTE * (amount / float(rate) - 1) for amount, rate in waits if rate), default=0.0)
    device = next(iter(addresses(caller.spec)), caller.spec.name)
    return StageTime(device, float(caller.concurrency), calls.value, work, a_call, max(0.0, at_least))
