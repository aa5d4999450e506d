"""What calls came to, written down: in the counters of their call site, and one record each in the store.

There are two ways. A call that was answered as usual is a small tuple of what was seen of it; what follows from that is worked
out for all that are written together, or when somebody reads. Any other call is a whole record at once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from ...udfs.models.base import ModelSpec, Reply, Usage
from ...udfs.models.energy import Energy
from ...udfs.models.prices import DECLARED, LOCAL, UNKNOWN, Cost, cost_usd, terms
from ..store.records import CallRecord, Outcome, Phase
from ..store.tariffs import CACHED, COUNTED, IN, OUT, SECONDS, USD, CallLine, Tariff
from .energy_meter import EnergyMeter
from .progress import SiteProgress
from .run import QueryRun
from .saves import Saving

SHOWN_CHARS = 500
MOST_LISTED = 10_000


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
    run, progress : where it is counted. spec : the model. energy : what its calls take.
    """

    def __init__(self, run: QueryRun, spec: ModelSpec, progress: SiteProgress, energy: EnergyMeter) -> None:
        self._run, self._spec, self._progress, self._carbon = run, spec, progress, energy.carbon
        self._rates, self._counts, self._terms = energy.rates, energy.counts, terms(spec)
        self._flat = 0.0 if self._terms.source == LOCAL else None
        self._by_table = self._terms.source not in (DECLARED, LOCAL, UNKNOWN)
        self._tariffs: dict[str | None, Tariff] = {}
        self._listed: dict[tuple[int | None, ...], float | None] = {}
        self._new: list[CallLine] = []

    def add(
        self, key: bytes, phase: Phase, reply: Reply, queued: float | None, endpoint: str | None, counted: float | None,
        answer: bytes | None,
    ) -> Saving:  # fmt: skip
        """Keep the record of a call that was answered as usual, and its answer if there is one to keep.

        Parameters
        ----------
        counted : what a counter of this machine counted; ``None``: there is none. The others: see :class:`Took`.
        """
        usage = reply.usage
        usd = self._by_list(usage) if self._by_table else self._flat
        line: CallLine = (
            self._tariffs.get(endpoint) or self._tariff(endpoint), time.time(), phase, key, usage.tokens_in,
            usage.tokens_out, usage.tokens_cached, reply.seconds, queued, reply.retries, usd, counted,
        )  # fmt: skip
        if not self._new:
            self._run.saves.before(self._tally)
        self._new.append(line)
        return self._run.saves.save(line, answer, reply.seconds)

    def _by_list(self, usage: Usage) -> float | None:
        """What a price list says. Calls of one site have few different lengths, and a list takes its time."""
        tokens = usage.tokens_in, usage.tokens_out, usage.tokens_cached
        if tokens not in self._listed:
            if len(self._listed) >= MOST_LISTED:
                self._listed.clear()
            self._listed[tokens] = cost_usd(self._spec, usage).usd
        return self._listed[tokens]

    def _tariff(self, endpoint: str | None) -> Tariff:
        site, held, rates = self._progress, self._terms, self._rates
        tariff = self._tariffs[endpoint] = Tariff(
            self._run.query_id, site.site, site.function, self._spec.name, endpoint, held.price_in, held.price_cached_in,
            held.price_out, held.source, rates.read, rates.written, rates.counted, rates.method,
            self._carbon.grams_per_kwh, self._carbon.source,
        )  # fmt: skip
        return tariff

    def _tally(self) -> None:
        """Count what :meth:`add` has taken since the last time."""
        lines, self._new = self._new, []
        site, told = self._progress, lines
        site.moments.add(lines)
        _, _, _, _, ins, outs, *_, retries, _, _ = zip(*lines, strict=True)
        site.retries += sum(retries)
        site.model_seconds += sum([line[SECONDS] for line in lines])
        read, written = _known(ins), _known(outs)
        site.tokens_in += read
        site.tokens_out += written
        if None in ins:
            told = [line for line in lines if line[IN] is not None]
            read, written = sum([line[IN] or 0 for line in told]), sum([line[OUT] or 0 for line in told])
        cached = sum([min(line[IN] or 0, line[CACHED] or 0) for line in told])
        self._tally_money(lines, told, (read, written, cached))
        if self._counts:
            self._tally_energy(0, 0, sum([line[COUNTED] or 0.0 for line in lines]))
            return
        site.unmetered += len(lines) - len(told)
        if told:
            self._tally_energy(read - cached, written, 0.0)

    def _tally_money(self, lines: list[CallLine], told: list[CallLine], tokens: tuple[int, int, int]) -> None:
        """Of calls whose tokens were ``told`` all together, where a declared price lets them."""
        held = self._terms
        if held.source == DECLARED and held.price_in is not None and held.price_out is not None:
            self._progress.cost_usd += held.usd(*tokens) or 0.0
            priced = len(told)
        else:
            declared = held.source == DECLARED
            costs = [held.usd(line[IN], line[OUT], line[CACHED]) if declared else line[USD] for line in lines]
            known = [cost for cost in costs if cost is not None]
            self._progress.cost_usd += sum(known)
            priced = len(known)
        self._progress.unpriced += len(lines) - priced
        if priced:
            self._run.priced_by(held.source)
        if priced < len(lines):
            self._run.priced_by(UNKNOWN)

    def _tally_energy(self, fresh: int, written: int, counted: float) -> None:
        rates = self._rates
        low, mid, high = (
            fresh * a + written * b + counted * c
            for a, b, c in zip(rates.read, rates.written, rates.counted, strict=True)
        )
        self.count_energy(Energy(low, mid, high, rates.method))

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


def _known(counts: Sequence[int | None]) -> int:
    """Their sum, as far as they are known."""
    return sum(filter(None, counts))
