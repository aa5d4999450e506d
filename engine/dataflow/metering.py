"""One call to a model, paid for: within the budget, counted in the progress, recorded in the store."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace

from ...udfs.models.base import Generate, JsonAnswer, Model, ModelSpec, Reply, Request, Usage
from ...udfs.models.prices import Cost, cost_usd, estimate_usd
from ...udfs.models.registry import backends
from ...udfs.models.sending import Sendings, counted
from ...udfs.models.tries import set_tries, tries_of
from ..errors import BudgetExceeded, InvalidAnswer, ModelTimeout
from ..store.records import CallRecord, Outcome, Phase
from .budget import NOTHING, Spending
from .progress import SiteProgress
from .run import QueryRun
from .saves import Saving

MESSAGE_TOKENS = 32
"""Tokens that a chat template and a tokenizer add around the two messages."""
SHOWN_CHARS = 500
CUT_OFF = (ModelTimeout, BudgetExceeded, asyncio.CancelledError)


@dataclass(frozen=True, slots=True)
class _Took:
    """What a call took: seconds of its last attempt, seconds before that one left (``None``: unknown), attempts before it."""

    seconds: float
    queued: float | None
    retries: int
    cost: Cost


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
        self._queued: dict[bytes, float] = {}

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
        started = time.perf_counter()
        with counted() as sendings:
            try:
                reply = await self._call(model, request)
            except (Exception, asyncio.CancelledError) as error:
                await self._unanswered(error, most, key, phase, sendings, started)
                raise
            finally:
                self._progress.in_flight -= 1
        if sendings.count:
            reply = replace(reply, retries=sendings.count - 1)
            self._queued[key] = sendings.last - started
        self._answered(reply, most)
        return reply

    def record(
        self, key: bytes, phase: Phase, reply: Reply, outcome: Outcome, answer: bytes | None, error: str | None = None
    ) -> Saving:
        """Keep the record of an answered call, and its answer."""
        took = _Took(reply.seconds, self._queued.pop(key, None), reply.retries, cost_usd(self._spec, reply.usage))
        return self._save(key, phase, outcome, reply.usage, took, error, answer)

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

    def _answered(self, reply: Reply, most: Spending) -> None:
        cost = cost_usd(self._spec, reply.usage)
        self._run.budget.settle(most, Spending(cost.usd, _total(reply.usage)))
        self._progress.retries += reply.retries
        self._progress.model_seconds += reply.seconds
        self._count(reply.usage, cost.usd)
        self._run.priced_by(cost.source)

    async def _unanswered(
        self, error: BaseException, most: Spending, key: bytes, phase: Phase, sendings: Sendings, started: float
    ) -> None:
        if self._tells and not sendings.count:
            self._unsent(error, most, phase)
            return
        now, left = time.perf_counter(), sendings.last if sendings.count else started
        took = _Took(
            seconds=now - left,
            queued=left - started if sendings.count else None,
            retries=max(0, sendings.count - 1) if self._tells else tries_of(error) - 1,
            cost=cost_usd(self._spec, sendings.usage),  # without tokens known only where nothing costs anything
        )
        await self._failed(error, most, key, phase, took, sendings.usage).durable()

    def _unsent(self, error: BaseException, most: Spending, phase: Phase) -> None:
        """Forget a call that never was."""
        self._run.budget.give_back(most)
        self._progress.calls -= 1
        self._progress.calibration -= phase == "calibrate"
        set_tries(error, 0)

    def _failed(
        self, error: BaseException, most: Spending, key: bytes, phase: Phase, took: _Took, usage: Usage
    ) -> Saving:
        # An answer outside its type was generated, and one that nobody waited for may have been: they cost something.
        invalid = isinstance(error, InvalidAnswer)
        billed = invalid or isinstance(error, CUT_OFF)
        self._run.budget.settle(most, Spending(took.cost.usd, _total(usage)) if billed else NOTHING)
        self._progress.retries += took.retries
        if invalid:
            self._count(usage, took.cost.usd)
        words = "cancelled before an answer came" if isinstance(error, asyncio.CancelledError) else str(error)
        return self._save(key, phase, "invalid" if invalid else "error", usage, took, words, None)

    def _count(self, usage: Usage, usd: float | None) -> None:
        self._progress.tokens_in += usage.tokens_in or 0
        self._progress.tokens_out += usage.tokens_out or 0
        if usd is None:
            self._progress.unpriced += 1
        else:
            self._progress.cost_usd += usd

    def _save(
        self, key: bytes, phase: Phase, outcome: Outcome, usage: Usage, took: _Took, error: str | None,
        answer: bytes | None,
    ) -> Saving:  # fmt: skip
        record = CallRecord(
            at=time.time(), query_id=self._run.query_id, call_site=self._progress.site,
            function=self._progress.function, model=self._spec.name, phase=phase, key=key,
            tokens_in=usage.tokens_in, tokens_out=usage.tokens_out, tokens_cached=usage.tokens_cached,
            seconds=took.seconds, retries=took.retries, cost_usd=took.cost.usd, outcome=outcome,
            error=None if error is None else error[:SHOWN_CHARS], queue_seconds=took.queued,
            price_source=took.cost.source,
        )  # fmt: skip
        return self._run.saves.save(record, answer)

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
