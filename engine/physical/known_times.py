"""What the store remembers of the times of a model's calls."""

from __future__ import annotations

from statistics import fmean

from ...udfs.models.base import ModelSpec
from ...udfs.models.registry import addresses
from ..dataflow.known_devices import LEARNT_FROM
from ..store import Store


def times(store: Store, spec: ModelSpec) -> list[tuple[float, float]]:
    """Units and seconds of its latest calls, endpoint by endpoint."""
    model = str(spec.options.get("model", spec.name))
    return [time for place in addresses(spec) for time in store.traces.times(place, model, LEARNT_FROM)]


def seconds_a_call(store: Store, spec: ModelSpec) -> float:
    """On the mean; 0 where nothing is remembered."""
    known = [seconds for _, seconds in times(store, spec)]
    return fmean(known) if known else 0.0
