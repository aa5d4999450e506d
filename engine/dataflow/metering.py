"""One call to a model, paid for: within the budget, counted in the progress, recorded in the store."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import NamedTuple, TypeVar

from ...udfs.models.base import Generate, JsonAnswer, Model, ModelSpec, Reply, Request, Usage
from ...udfs.models.prices import cost_usd, estimate_usd
from ...udfs.models.registry import address, backends
from ...udfs.models.sending import Sendings, counted
from ...udfs.models.tries import set_tries, tries_of
from ..errors import BudgetExceeded, InvalidAnswer
from ..store.records import Outcome, Phase
from .books import Books, Took
from .budget import NOTHING, Spending
from .energy_meter import CUT_OFF, CutOff, EnergyMeter, Share
from .progress import SiteProgress
from .replies import energy_in, with_energy
from .run import QueryRun
from .saves import Saving

MESSAGE_TOKENS = 32
"""Tokens that a chat template and a tokenizer add around the two messages."""
N = TypeVar("N", int, float)
STOPPED = (BudgetExceeded, asyncio.CancelledError)
"""Nobody waited for the answer any more."""


class _Call(NamedTuple):
    """A call under way."""

    request: Request
    key: bytes
    phase: Phase
    most: Spending
    share: Share | None
    sendings: Sendings
    started: float


class Meter:
    """The books of one call site.

    Parameters
    ----------
    run, progress : where it is counted. spec : whose price holds.
    """

    def __init__(self, run: QueryRun, spec: ModelSpec, progress: SiteProgress) -> None:
        self._run, self._spec, self._progress = run, spec, progress
        backend = backends().get(spec.provider)
        self._tells = backend is not None and backend.tells
        self._energy = EnergyMeter(spec, run.settings)
        self._books = Books(run, spec, progress, self._energy.carbon)
        self._endpoint = address(spec)
        # Two askers of one question may ask at once, if its answer suits neither: lists, though nearly always of one.
        self._taken: dict[bytes, list[Took]] = {}

    async def send(self, model: Model, request: Request, key: bytes, phase: Phase) -> Reply:
        """Reserve, call, settle. A call that fails is recorded here; one that is answered by :meth:`record`, once the
        answer is judged. A call that fails before anything was sent (there is no key, no model file, no slot in time) is no
        call.

        Raises
        ------
        BudgetExceeded, ProgrammingError : see ``Budget.reserve``. ModelError : the model's.
        """
        most = self._most(request)
        await self._run.budget.reserve(most, self._spec.name)
        self._progress.calls += 1
        self._progress.calibration += phase == "calibrate"
        self._progress.in_flight += 1
        with counted() as sendings:
            call = _Call(request, key, phase, most, self._share(sendings), sendings, time.perf_counter())
            try:
                reply = await self._call(model, request)
            except (Exception, asyncio.CancelledError) as error:
                await self._unanswered(error, call)
                raise
            finally:
                self._progress.in_flight -= 1
                if call.share is not None:
                    call.share.end()
        if sendings.count and reply.retries != sendings.count - 1:
            reply = replace(reply, retries=sendings.count - 1)
        self._answered(reply, call)
        return reply

    def record(
        self, key: bytes, phase: Phase, reply: Reply, outcome: Outcome, answer: bytes | None, error: str | None = None
    ) -> Saving:
        """Keep the record of an answered call, and its answer."""
        waiting = self._taken[key]
        took = waiting.pop(0)
        if not waiting:
            del self._taken[key]
        if answer is not None and took.energy is not None and self._energy.counts:
            answer = with_energy(answer, took.energy.mid)
        return self._books.save(key, phase, outcome, reply.usage, took, error, answer)

    def reused(self, usage: Usage, answer: bytes) -> None:
        """An answer was found: nothing is paid, and what is not is noted.

        Parameters
        ----------
        usage : tokens of the call that made it. answer : as it was kept.
        """
        joules = energy_in(answer)
        if joules is None and not self._energy.counts and (energy := self._energy.answered(usage, None)) is not None:
            joules = energy.mid
        grams = None if joules is None else self._energy.carbon.grams(joules)
        self._run.reuses.add(self._progress, cost_usd(self._spec, usage).usd, joules, grams)

    def _share(self, sendings: Sendings) -> Share | None:
        share = self._energy.share()
        if share is not None:
            sendings.began = share.begin
            if not self._tells:
                share.begin()
        return share

    async def _call(self, model: Model, request: Request) -> Reply:
        left = self._run.budget.seconds_left()
        if left is None:
            return await model.call(request)
        limit = asyncio.timeout(left)
        try:
            async with limit:
                return await model.call(request)
        except TimeoutError:
            if not limit.expired():  # the model's own
                raise
            raise self._run.budget.no_time() from None

    def _answered(self, reply: Reply, call: _Call) -> None:
        cost, sendings = cost_usd(self._spec, reply.usage), call.sendings
        energy = self._energy.answered(reply.usage, call.share)
        queued = sendings.last - call.started if sendings.count else None
        endpoint = sendings.endpoint or self._endpoint
        took = Took(reply.seconds, queued, reply.retries, cost, energy, endpoint)
        self._taken.setdefault(call.key, []).append(took)
        self._settle(call, Spending(cost.usd, _total(reply.usage)))
        self._progress.retries += reply.retries
        self._progress.model_seconds += reply.seconds
        self._books.count(reply.usage, cost.usd)
        self._books.count_energy(energy)
        self._run.priced_by(cost.source)

    async def _unanswered(self, error: BaseException, call: _Call) -> None:
        sendings = call.sendings
        if self._tells and not sendings.count and not sendings.discarded:
            self._unsent(error, call)
            return
        now, left = time.perf_counter(), sendings.last if sendings.count else call.started
        usage = sendings.usage
        took = Took(
            seconds=now - left,
            queued=left - call.started if sendings.count else None,
            retries=max(0, sendings.count - 1) if self._tells else tries_of(error) - 1,
            cost=cost_usd(self._spec, usage),  # without tokens known only where nothing costs anything
            energy=self._energy.unanswered(CutOff(call.request, error, now - left), usage, call.share),
            endpoint=sendings.endpoint or self._endpoint,
            discarded=isinstance(error, STOPPED),
        )
        await self._failed(error, call, took).durable()

    def _unsent(self, error: BaseException, call: _Call) -> None:
        """Forget a call that never was."""
        self._run.budget.give_back(call.most)
        self._progress.calls -= 1
        self._progress.calibration -= call.phase == "calibrate"
        set_tries(error, 0)

    def _failed(self, error: BaseException, call: _Call, took: Took) -> Saving:
        # An answer outside its type was generated, and one that nobody waited for may have been: they cost something.
        usage = call.sendings.usage
        invalid = isinstance(error, InvalidAnswer)
        billed = invalid or isinstance(error, CUT_OFF)
        self._settle(call, Spending(took.cost.usd, _total(usage)) if billed else NOTHING)
        self._progress.retries += took.retries
        self._progress.discarded += took.discarded
        self._books.count_energy(took.energy)
        if invalid:
            self._books.count(usage, took.cost.usd)
        words = "cancelled before an answer came" if isinstance(error, asyncio.CancelledError) else str(error)
        return self._books.save(call.key, call.phase, "invalid" if invalid else "error", usage, took, words, None)

    def _settle(self, call: _Call, actual: Spending) -> None:
        """Pay for the call, and for the attempts at it that were discarded."""
        for lost in call.sendings.discarded:
            if lost.count:
                paid = self._discarded(lost, call)
                actual = Spending(_sum(actual.usd, paid.usd), _sum(actual.tokens, paid.tokens))
        self._run.budget.settle(call.most, actual)

    def _discarded(self, lost: Sendings, call: _Call) -> Spending:
        """Record an attempt that was for nothing."""
        seconds, cost = time.perf_counter() - lost.last, cost_usd(self._spec, lost.usage)
        energy = self._energy.discarded(CutOff(call.request, None, seconds), lost.usage)
        took = Took(
            seconds, lost.last - call.started, lost.count - 1, cost, energy, lost.endpoint or self._endpoint, True
        )
        self._run.budget.calls += 1
        self._progress.calls += 1
        self._progress.discarded += 1
        self._progress.retries += took.retries
        self._books.count(lost.usage, cost.usd)
        self._books.count_energy(energy)
        self._books.save(call.key, call.phase, "error", lost.usage, took, lost.why, None)
        return Spending(cost.usd, _total(lost.usage))

    def _most(self, request: Request) -> Spending:
        """The most that a request may take; nothing is computed that no cap asks for."""
        caps = self._run.budget.caps
        if caps.cost_usd is None and caps.tokens is None:
            return NOTHING
        tokens = most_tokens(request)
        usd = estimate_usd(self._spec, *tokens).usd if caps.cost_usd is not None else 0.0
        return Spending(usd, sum(tokens))


def most_tokens(request: Request) -> tuple[int, int]:
    """Upper bounds on the tokens in and out of a request. Two bytes a token is what dense scripts need; English has four.

    >>> most_tokens(Generate("", "a" * 100, max_tokens=5))
    (82, 5)
    """
    if not isinstance(request, Generate):
        return _tokens(request.text), 0
    schema = request.answer.schema if isinstance(request.answer, JsonAnswer) else ""
    return _tokens(request.system + request.user + schema), request.max_tokens


def _tokens(text: str) -> int:
    return len(text.encode(errors="replace")) // 2 + MESSAGE_TOKENS


def _total(usage: Usage) -> int | None:
    """Tokens in and out; ``None`` where the server did not count both (an embedding has none out)."""
    return None if usage.tokens_in is None else usage.tokens_in + (usage.tokens_out or 0)


def _sum(known: N | None, more: N | None) -> N | None:
    """``None`` where either is unknown."""
    return None if known is None or more is None else known + more
