"""One call to a model, paid for: within the budget, counted in the progress, recorded in the store."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TypeVar

from ...udfs.models.base import Generate, JsonAnswer, Model, ModelSpec, Reply, Request, Usage
from ...udfs.models.prices import cost_usd, estimate_usd
from ...udfs.models.registry import address, backends
from ...udfs.models.sending import Sendings
from ...udfs.models.tries import set_tries, tries_of
from ..errors import BudgetExceeded, InvalidAnswer
from ..store.records import Outcome, Phase
from .books import Books, Took
from .budget import NOTHING, Budget, Spending
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


class _Call(Sendings):
    """A call under way, and the requests that it has sent.

    Parameters
    ----------
    request, key, phase : what is asked. most : what is reserved for it.
    progress : where it waits until it leaves; ``None``: its model does not tell when.
    share : of a counter, if there is one.
    untaken : where it is counted once it is its turn; ``None``: it has been.
    """

    held = ()

    def __init__(
        self, request: Request, key: bytes, phase: Phase, most: Spending, progress: SiteProgress | None, share: Share | None
    ) -> None:  # fmt: skip
        self.request, self.key, self.most, self.share = request, key, most, share
        self.phase: Phase = phase
        self._waits = progress
        self.untaken: Budget | None = None
        if progress is not None:
            progress.waiting += 1
        self.started = time.perf_counter()

    def admitted(self) -> None:
        """See :class:`Sendings`."""
        if self.untaken is not None:
            self.untaken.take()
            self.untaken = None

    def began(self) -> None:
        """See :class:`Sendings`."""
        self.waits_no_more()
        if self.share is not None:
            self.share.begin()

    def waits_no_more(self) -> None:
        """It has left, or never will. Idempotent."""
        if self._waits is not None:
            self._waits.waiting -= 1
            self._waits = None


class Meter:
    """The books of one call site.

    Parameters
    ----------
    run, progress : where it is counted. spec : whose price holds.
    """

    def __init__(self, run: QueryRun, spec: ModelSpec, progress: SiteProgress) -> None:
        self._run, self._spec, self._progress = run, spec, progress
        self._budget = run.budget
        self._timeless = run.budget.caps.seconds is None
        # Of calls that wait for their turn, those of the last operators go first; so they are counted when it is their turn, or a
        # cap would be full of calls that are never made.
        self._counted_late = run.budget.caps.calls is not None and self._timeless and not run.budget.weighs
        backend = backends().get(spec.provider)
        self._tells = backend is not None and backend.tells
        self._energy = EnergyMeter(spec, run.settings)
        self._books = Books(run, spec, progress, self._energy)
        self._counts = self._energy.counts
        self._endpoint = address(spec)
        # Of the reply that `send` gave last: who awaits that goes on at once, so it is theirs when they come with it.
        self._last: _Call | None = None

    async def send(self, model: Model, request: Request, key: bytes, phase: Phase) -> Reply:
        """Reserve and call. A call that fails is settled and recorded here; one that is answered by :meth:`record`, which has
        to follow without any waiting in between, once the answer is judged. A call that fails before anything was sent
        (there is no key, no model file, no slot in time) is no call.

        Raises
        ------
        BudgetExceeded, ProgrammingError : see ``Budget.reserve``. ModelError : the model's.
        """
        most, progress, later = NOTHING, self._progress, self._counted_late and getattr(model, "gated", False)
        if self._budget.weighs:
            most = await self._reserved(request)
        elif not later:
            self._budget.take()
        progress.calls += 1
        progress.calibration += phase == "calibrate"
        progress.reasks += phase == "reask"
        progress.in_flight += 1
        share = self._share() if self._counts else None
        with _Call(request, key, phase, most, progress if self._tells else None, share) as call:
            if later:
                call.untaken = self._budget
            try:
                reply = await (model.call(request) if self._timeless else self._in_time(model, request))
            except (Exception, asyncio.CancelledError) as error:
                await self._unanswered(error, call)
                raise
            finally:
                progress.in_flight -= 1
                call.waits_no_more()
                if share is not None:
                    share.end()
        if call.count and reply.retries != call.count - 1:
            reply = replace(reply, retries=call.count - 1)
        self._last = call
        return reply

    def record(
        self, key: bytes, phase: Phase, reply: Reply, outcome: Outcome, answer: bytes | None, error: str | None = None
    ) -> Saving:
        """Keep the record of an answered call, and its answer. The call holds its slots until that is durable."""
        call, self._last = self._last, None
        assert call is not None, "nothing was sent"
        if self._budget.weighs or call.discarded:
            self._settle(call, Spending(cost_usd(self._spec, reply.usage).usd, _total(reply.usage)))
        queued = call.last - call.started if call.count else None
        endpoint, share = call.endpoint or self._endpoint, call.share
        if outcome != "ok":
            saving = self._useless(call, reply, outcome, queued, endpoint, error)
        else:
            if share is not None and answer is not None:
                answer = with_energy(answer, self._energy.of_share(share).mid)
            counted = None if share is None else share.amount
            saving = self._books.add(key, phase, reply, queued, endpoint, counted, answer)
        saving.after = call.release
        return saving

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
        self._progress.avoided_energy_j += joules or 0.0
        self._run.reuses.add(self._progress, cost_usd(self._spec, usage).usd, joules, grams)

    async def _reserved(self, request: Request) -> Spending:
        most = self._most(request)
        await self._budget.reserve(most, self._spec.name)
        return most

    def _share(self) -> Share | None:
        share = self._energy.share()
        if share is not None and not self._tells:
            share.begin()
        return share

    async def _in_time(self, model: Model, request: Request) -> Reply:
        left = self._budget.seconds_left()
        limit = asyncio.timeout(left)
        try:
            async with limit:
                return await model.call(request)
        except TimeoutError:
            if not limit.expired():  # the model's own
                raise
            raise self._budget.no_time() from None

    def _useless(
        self, call: _Call, reply: Reply, outcome: Outcome, queued: float | None, endpoint: str | None, error: str | None
    ) -> Saving:
        """Record an answer that is none."""
        cost, energy = cost_usd(self._spec, reply.usage), self._energy.answered(reply.usage, call.share)
        self._progress.retries += reply.retries
        self._progress.model_seconds += reply.seconds
        self._books.count(reply.usage, cost.usd)
        if reply.usage.tokens_in is not None and call.phase != "calibrate":
            self._progress.moments.useless(reply.usage.tokens_in, reply.usage.tokens_out or 0, reply.seconds)
        self._books.count_energy(energy)
        self._run.priced_by(cost.source)
        took = Took(reply.seconds, queued, reply.retries, cost, energy, endpoint)
        return self._books.save(call.key, call.phase, outcome, reply.usage, took, error, None)

    async def _unanswered(self, error: BaseException, call: _Call) -> None:
        if call.untaken is not None or (self._tells and not call.count and not call.discarded):
            call.release()
            self._unsent(error, call)
            return
        now, left = time.perf_counter(), call.last if call.count else call.started
        usage = call.usage
        took = Took(
            seconds=now - left,
            queued=left - call.started if call.count else None,
            retries=max(0, call.count - 1) if self._tells else tries_of(error) - 1,
            cost=cost_usd(self._spec, usage),  # without tokens known only where nothing costs anything
            energy=self._energy.unanswered(CutOff(call.request, error, now - left), usage, call.share),
            endpoint=call.endpoint or self._endpoint,
            discarded=isinstance(error, STOPPED),
        )
        saving = self._failed(error, call, took)
        saving.after = call.release
        await saving.durable()

    def _unsent(self, error: BaseException, call: _Call) -> None:
        """Forget a call that never was."""
        if call.untaken is None:
            self._budget.give_back(call.most)
        self._progress.calls -= 1
        self._progress.calibration -= call.phase == "calibrate"
        self._progress.reasks -= call.phase == "reask"
        set_tries(error, 0)

    def _failed(self, error: BaseException, call: _Call, took: Took) -> Saving:
        # An answer outside its type was generated, and one that nobody waited for may have been: they cost something.
        usage = call.usage
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
        for lost in call.discarded:
            if lost.count:
                paid = self._discarded(lost, call)
                actual = Spending(_sum(actual.usd, paid.usd), _sum(actual.tokens, paid.tokens))
        if self._budget.weighs:
            self._budget.settle(call.most, actual)

    def _discarded(self, lost: Sendings, call: _Call) -> Spending:
        """Record an attempt that was for nothing."""
        seconds, cost = time.perf_counter() - lost.last, cost_usd(self._spec, lost.usage)
        energy = self._energy.discarded(CutOff(call.request, None, seconds), lost.usage)
        took = Took(
            seconds, lost.last - call.started, lost.count - 1, cost, energy, lost.endpoint or self._endpoint, True
        )
        self._budget.calls += 1
        self._progress.calls += 1
        self._progress.discarded += 1
        self._progress.retries += took.retries
        self._books.count(lost.usage, cost.usd)
        self._books.count_energy(energy)
        self._books.save(call.key, call.phase, "error", lost.usage, took, lost.why, None)
        return Spending(cost.usd, _total(lost.usage))

    def _most(self, request: Request) -> Spending:
        """The most that a request may take, where anything is capped."""
        caps = self._budget.caps
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
