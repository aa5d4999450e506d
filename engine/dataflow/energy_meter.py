"""The energy of one call site's calls, and what it emits: counted on this machine, or worked out from tokens."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import NamedTuple

from ...udfs.models.base import Generate, ModelSpec, Request, Usage
from ...udfs.models.carbon import carbon_intensity
from ...udfs.models.energy import (
    SERVER_PUE,
    Energy,
    Method,
    counted_energy,
    cpu_energy,
    cut_off_energy,
    gpu_energy,
    per_token,
)
from ...udfs.models.power import CPU_SECONDS, SharedCounter, gpu_joules
from ...udfs.models.prices import on_own_machine
from ...udfs.models.registry import backends
from ..errors import BudgetExceeded, ModelTimeout, RateLimited
from ..settings import Settings

CUT_OFF = (ModelTimeout, BudgetExceeded, asyncio.CancelledError)
"""After these a model may have worked on an answer that never came."""
CHARACTERS_PER_TOKEN = 4


class Share:
    """What one call takes of a counter, from its first request to its end."""

    __slots__ = ("_begun", "_counter", "amount")

    def __init__(self, counter: SharedCounter) -> None:
        self._counter = counter
        self._begun: float | None = None
        self.amount = 0.0

    def begin(self) -> None:
        """A request leaves."""
        if self._begun is None:
            self._begun = self._counter.begin()

    def end(self) -> None:
        """The call is over; idempotent."""
        if self._begun is not None:
            self.amount += self._counter.end(self._begun)
            self._begun = None


@dataclass(frozen=True, slots=True)
class CutOff:
    """A call without an answer: what was asked, why there is none, and seconds since it was last sent."""

    request: Request
    error: BaseException | None
    seconds: float


Range = tuple[float, float, float]
NO_JOULES: Range = (0.0, 0.0, 0.0)


class Rates(NamedTuple):
    """Joules (low, mid, high) of an input token that no cache had, an output token, and a unit of the counter."""

    read: Range
    written: Range
    counted: Range
    method: Method


class EnergyMeter:
    """Energy of one model's calls under one query's settings.

    Parameters
    ----------
    spec : the model. settings : the query's: the overhead, watts and emissions of electricity.
    """

    def __init__(self, spec: ModelSpec, settings: Settings) -> None:
        own = on_own_machine(spec)
        backend = backends().get(spec.provider)
        self._in_process = backend is not None and backend.local
        self._pue = settings.llm_pue or (1.0 if own else SERVER_PUE)
        self._watts = settings.llm_cpu_watts
        self._tokens = per_token(spec, self._pue)
        self._counter = CPU_SECONDS if self._in_process else gpu_joules() if own else None
        self.carbon = carbon_intensity(settings.llm_carbon_region, settings.llm_carbon_g_per_kwh)

    @property
    def counts(self) -> bool:
        """Whether a counter of this machine says what calls take."""
        return self._counter is not None

    @property
    def rates(self) -> Rates:
        """Joules that answered calls take, whatever else they are."""
        if self.counts:
            unit = self._of_counter(1.0)
            return Rates(NO_JOULES, NO_JOULES, unit[:3], unit.method)
        return Rates(self._tokens.read, self._tokens.written, NO_JOULES, self._tokens.method)

    def share(self) -> Share | None:
        """For a call that begins; ``None``: there is no counter."""
        return None if self._counter is None else Share(self._counter)

    def answered(self, usage: Usage, share: Share | None) -> Energy | None:
        """Of a call that was answered; ``None``: nobody counted its tokens."""
        return counted_energy(self._tokens, usage) if share is None else self.of_share(share)

    def unanswered(self, call: CutOff, usage: Usage, share: Share | None) -> Energy | None:
        """Of a call that failed or was cut off."""
        if share is not None:
            return self.of_share(share)
        if usage.tokens_in is not None:
            return counted_energy(self._tokens, usage)
        if isinstance(call.error, RateLimited):  # turned away at the door
            return Energy(0.0, 0.0, 0.0, self._tokens.method)
        guess = cut_off_energy(self._tokens, _read(call.request), _most_written(call.request), call.seconds)
        if call.error is None or isinstance(call.error, CUT_OFF):
            return guess
        return Energy(0.0, 0.0, guess.high, "default")

    def discarded(self, call: CutOff, usage: Usage) -> Energy | None:
        """Of one of several attempts at a call; a counter of this machine gives the call the share of them all."""
        return self._of_counter(0.0) if self.counts else self.unanswered(call, usage, None)

    def estimate(self, tokens_in: float, tokens_out: float) -> Energy | None:
        """Of tokens not yet spent; ``None``: only a counter will tell."""
        return None if self.counts else self._tokens.of(tokens_in, (tokens_out, tokens_out, tokens_out))

    def of_share(self, share: Share) -> Energy:
        """Of a call that ends now, by a counter."""
        share.end()
        return self._of_counter(share.amount)

    def _of_counter(self, amount: float) -> Energy:
        if self._in_process:
            return cpu_energy(amount, self._watts, self._pue)
        return gpu_energy(amount, self._pue)


def _read(request: Request) -> int:
    text = request.system + request.user if isinstance(request, Generate) else request.text
    return len(text) // CHARACTERS_PER_TOKEN


def _most_written(request: Request) -> int:
    return request.max_tokens if isinstance(request, Generate) else 0
