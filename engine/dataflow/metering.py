"""One call to a model, paid for: within the budget, counted in the progress, recorded in the store."""

from __future__ import annotations

import asyncio
import time

from ...udfs.models.base import Generate, JsonAnswer, Model, ModelSpec, Reply, Request, Usage
from ...udfs.models.prices import cost_usd, estimate_usd
from ..errors import InvalidAnswer, ModelTimeout
from ..store.records import CallRecord, Outcome, Phase
from .progress import SiteProgress
from .run import QueryRun
from .saves import Saving

MESSAGE_TOKENS = 32
"""Tokens that a chat template and a tokenizer add around the two messages."""
SHOWN_CHARS = 500


class Meter:
    """The books of one call site.

    Parameters
    ----------
    run, progress : where it is counted. spec : whose price holds.
    """

    def __init__(self, run: QueryRun, spec: ModelSpec, progress: SiteProgress) -> None:
        self._run, self._spec, self._progress = run, spec, progress

    async def send(self, model: Model, request: Request, key: bytes, phase: Phase) -> Reply:
        """Reserve, call, settle. A call that fails is recorded here; one that is answered by :meth:`record`, once the
        answer is judged.

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
        try:
            reply = await model.call(request)
        except (Exception, asyncio.CancelledError) as error:
            await self._failed(error, most, key, phase, time.perf_counter() - started).durable()
            raise
        finally:
            self._progress.in_flight -= 1
        self._answered(reply, most)
        return reply

    def record(
        self, key: bytes, phase: Phase, reply: Reply, outcome: Outcome, answer: bytes | None, error: str | None = None
    ) -> Saving:
        """Keep the record of an answered call, and its answer."""
        cost = cost_usd(self._spec, reply.usage).usd
        return self._save(key, phase, outcome, reply.usage, reply.seconds, reply.retries, cost, error, answer)

    def _answered(self, reply: Reply, most: float | None) -> None:
        cost = cost_usd(self._spec, reply.usage)
        self._run.budget.settle(most, cost.usd)
        progress, usage = self._progress, reply.usage
        progress.tokens_in += usage.tokens_in or 0
        progress.tokens_out += usage.tokens_out or 0
        progress.retries += reply.retries
        progress.model_seconds += reply.seconds
        self._count_money(cost.usd)
        self._run.priced_by(cost.source)

    def _failed(self, error: BaseException, most: float | None, key: bytes, phase: Phase, seconds: float) -> Saving:
        # An answer outside its type was generated, and one that nobody waited for may have been: they cost something.
        billed = isinstance(error, InvalidAnswer | ModelTimeout | asyncio.CancelledError)
        self._run.budget.settle(most, None if billed else 0.0)
        cost = cost_usd(self._spec, Usage()).usd  # known only where nothing costs anything
        if isinstance(error, InvalidAnswer):
            self._count_money(cost)
        words = "cancelled before an answer came" if isinstance(error, asyncio.CancelledError) else str(error)
        outcome: Outcome = "invalid" if isinstance(error, InvalidAnswer) else "error"
        return self._save(key, phase, outcome, Usage(), seconds, 0, cost, words, None)

    def _count_money(self, usd: float | None) -> None:
        if usd is None:
            self._progress.unpriced += 1
        else:
            self._progress.cost_usd += usd

    def _save(
        self, key: bytes, phase: Phase, outcome: Outcome, usage: Usage, seconds: float, retries: int,
        cost: float | None, error: str | None, answer: bytes | None,
    ) -> Saving:  # fmt: skip
        record = CallRecord(
            at=time.time(), query_id=self._run.query_id, call_site=self._progress.site,
            function=self._progress.function, model=self._spec.name, phase=phase, key=key,
            tokens_in=usage.tokens_in, tokens_out=usage.tokens_out, tokens_cached=usage.tokens_cached,
            seconds=seconds, retries=retries, cost_usd=cost, outcome=outcome,
            error=None if error is None else error[:SHOWN_CHARS],
        )  # fmt: skip
        return self._run.saves.save(record, answer)

    def _most(self, request: Request) -> float | None:
        """The most that a request may cost in US dollars; ``None``: unknown (or no cap asks)."""
        if self._run.budget.max_cost_usd is None:
            return None
        return estimate_usd(self._spec, *most_tokens(request)).usd


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
