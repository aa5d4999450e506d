"""What is known of a device before its first call: how long calls took earlier processes, what they cost, what it draws."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from ...udfs.models.base import ModelSpec
from ...udfs.models.energy import CORE_W
from ...udfs.models.prices import estimate_usd
from ...udfs.models.registry import backends
from ...udfs.models.wrap.gate import Limits
from ..store import Store
from .gates import CallGate

LEARNT_FROM = 500
"""Newest traces of a device that a process begins with; older ones would weigh nothing."""
PRICED_TOKENS = 1_000
"""Tables have other prices for very long prompts."""


def informed(open_gate: Callable[[Limits], CallGate], spec: ModelSpec, store: Store) -> Callable[[Limits], CallGate]:
    """Opens gates of a model whose devices know all this.

    Parameters
    ----------
    store : what calls took is read from its traces, unless the device has had calls in this process.
    """

    def opened(limits: Limits) -> CallGate:
        gate = open_gate(limits)
        price_in, price_out = _per_million(spec, 1, 0), _per_million(spec, 0, 1)
        for place in gate.lane.places:
            served = replace(place.served, price_in=price_in, price_out=price_out)
            place.device.declare(served, _watts(spec))
            if not place.calibration.calls:
                place.calibration.remember(store.traces.times(place.device.name, gate.model, LEARNT_FROM))
        return gate

    return opened


def _per_million(spec: ModelSpec, tokens_in: int, tokens_out: int) -> float | None:
    usd = estimate_usd(spec, tokens_in * PRICED_TOKENS, tokens_out * PRICED_TOKENS).usd
    return None if usd is None else usd * 1_000_000 / PRICED_TOKENS


def _watts(spec: ModelSpec) -> float | None:
    """Of a model in this process: its threads, busy."""
    backend = backends().get(spec.provider)
    if backend is None or not backend.local:
        return None
    return CORE_W[1] * int(spec.options.get("threads", os.cpu_count() or 1))
