"""What calls came to, written down: in the counters of their call site, and one record each in the store."""

from __future__ import annotations

import time
from typing import NamedTuple

from ...udfs.models.base import ModelSpec, Usage
from ...udfs.models.carbon import CarbonIntensity
from ...udfs.models.energy import Energy
from ...udfs.models.prices import Cost
from ..store.records import CallRecord, Outcome, Phase
from .progress import SiteProgress
from .run import QueryRun
from .saves import Saving

SHOWN_CHARS = 500


class Took(NamedTuple):
    """What a call took.

    Parameters
    ----------
    seconds : of its last attempt. queued : seconds before that one left; ``None``: unknown. retries : attempts before it.
    cost, energy : ``None``: nobody knows. endpoint : where it went. discarded : nobody used it.
    """

    seconds: float
    queued: float | None
    retries: int
    cost: Cost
    energy: Energy | None
    endpoint: str | None
    discarded: bool = False


class Books:
    """Those of one call site.

    Parameters
    ----------
    run, progress : where it is counted. spec : the model. carbon : what its electricity emits.
    """

    def __init__(self, run: QueryRun, spec: ModelSpec, progress: SiteProgress, carbon: CarbonIntensity) -> None:
        self._run, self._spec, self._progress, self._carbon = run, spec, progress, carbon

    def count(self, usage: Usage, usd: float | None) -> None:
        """Tokens and money of an answer."""
        self._progress.tokens_in += usage.tokens_in or 0
        self._progress.tokens_out += usage.tokens_out or 0
        if usd is None:
            self._progress.unpriced += 1
        else:
            self._progress.cost_usd += usd

    def count_energy(self, energy: Energy | None) -> None:
        """Of any call, answered or not."""
        progress = self._progress
        if energy is None:
            progress.unmetered += 1
            return
        progress.energy_j_low += energy.low
        progress.energy_j += energy.mid
        progress.energy_j_high += energy.high
        progress.co2_g += self._carbon.grams(energy.mid)
        progress.energy_method = energy.method

    def save(
        self, key: bytes, phase: Phase, outcome: Outcome, usage: Usage, took: Took, error: str | None,
        answer: bytes | None,
    ) -> Saving:  # fmt: skip
        """Keep the record of a call, and its answer if there is one to keep."""
        low, joules, high, method = (None, None, None, None) if took.energy is None else took.energy
        record = CallRecord(
            at=time.time(), query_id=self._run.query_id, call_site=self._progress.site,
            function=self._progress.function, model=self._spec.name, phase=phase, key=key,
            tokens_in=usage.tokens_in, tokens_out=usage.tokens_out, tokens_cached=usage.tokens_cached,
            seconds=took.seconds, retries=took.retries, cost_usd=took.cost.usd, outcome=outcome,
            error=None if error is None else error[:SHOWN_CHARS], queue_seconds=took.queued,
            price_source=took.cost.source, endpoint=took.endpoint, discarded=took.discarded,
            energy_j_low=low, energy_j=joules, energy_j_high=high, energy_method=method,
            co2_g=None if joules is None else self._carbon.grams(joules), co2_source=self._carbon.source,
        )  # fmt: skip
        return self._run.saves.save(record, answer)
