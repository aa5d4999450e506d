"""The operator of a ``Call`` under a promise: a proxy answers rows as far as a sample proves that the promise is kept.

All rows come in before the first leaves, because the promise is of all of them and the sample is drawn from all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from ....optimizer.cascades.certificate import Certificate
from ....udfs.spec import Emit
from ...dataflow import streams
from ...dataflow.certificates import IssuedCertificate
from ...dataflow.run import QueryRun
from ...errors import BudgetExceeded
from ..cascading.certify import Certifier, Found, Phases, by_reference, worker
from ..cascading.expression_proxy import scores_by_input
from ..cascading.population import Population
from ..cascading.reference import Key, Reference, Said
from ..row_batches import Input
from .answers import inputs_of
from .asker import Asker, StageAsker
from .call import WINDOW_FACTOR, run_inquiry
from .call_stage import CallStage, Proxied
from .inquiry import CallInquiry, Fatal
from .leaving import InOrder, Leaving
from .questions import key_of

Batches = AsyncIterator[pa.RecordBatch]
STOPS_EARLY = "a LIMIT stops as soon as it has its rows, and the promise is of all rows that there are"


async def run_certified(
    batches: Batches,
    stage: CallStage,
    run: QueryRun,
    proxied: Proxied,
    *,
    each: Callable[[Batches], Batches],
    in_parts: bool,
    leaving: Callable[[Callable[[], None]], Leaving] = InOrder,
) -> Batches:
    """The batches with the answer column, as ``run_call`` gives them, but that a proxy has answered some rows.

    NULL arguments and guards are NULL without a question, to anybody. Rows of which the proxy says nothing are the reference's.
    A row whose reference fails is as ``on_error`` says; in the sample it counts as a disagreement, too.

    Parameters
    ----------
    proxied : who may answer. each : done to the rows before they leave.
    in_parts : where the budget ends before the proof, rows that the reference has answered by then leave all the same.

    Raises
    ------
    OperationalError, BudgetExceeded, Interrupted, ProgrammingError : see ``run_call``.
    """
    async with streams.closing(batches):
        kept = deque([batch async for batch in batches if batch.num_rows])
    phases, reference = Phases(), _reference(stage, run)
    try:
        found = await _found(kept, stage, run, proxied, reference, phases)
        issued, known = _issued(stage, run, proxied, found.certificate), found.answers
    except BudgetExceeded:
        if not in_parts:
            raise
        issued, known = None, reference.said
    finally:
        await reference.close()
    inquiry = CertifiedInquiry(stage, run, known)
    try:
        async with streams.closing(run_inquiry(each(_leaving(kept)), inquiry, leaving=leaving)) as rows:
            async for batch in rows:
                yield batch
    except BudgetExceeded:
        _withdraw(issued, run)  # of a part of the rows nothing was promised
        raise
    finally:
        phases.serve = inquiry.referred
        notes = {"asked": f"{phases.words()} (inputs, cached ones among them)", "proxy": proxied.note}
        stage.caller.progress.notes.update({name: note for name, note in notes.items() if note})


async def run_referred(batches: Batches, stage: CallStage, run: QueryRun, proxied: Proxied, reason: str) -> Batches:
    """What ``batches`` yields, which the reference has answered, and a certificate of so many rows that says why it did."""
    issued, progress = None, stage.caller.progress
    async with streams.closing(batches):
        async for batch in batches:
            _withdraw(issued, run)  # there are more rows now, and nobody may read on to the last one
            rows = progress.rows_done - progress.rows_null
            issued = _issued(stage, run, proxied, by_reference(proxied.cascade.guarantee, rows, 0, reason))
            yield batch


class CertifiedInquiry(CallInquiry):
    """The question of one call, of which many answers are known.

    Parameters
    ----------
    stage : of the call. run : the query. known : answers by input.

    Attributes
    ----------
    referred : inputs that the reference was asked about.
    """

    def __init__(self, stage: CallStage, run: QueryRun, known: Mapping[Key, Said]) -> None:
        super().__init__(stage, run)
        self._known, self.referred = known, 0

    def count(self, questions: int) -> None:
        """They are counted as they are put."""

    def asker(self, rows_to_come: Callable[[], Input], *, hears: bool, fatal: Fatal) -> Asker:
        """See :class:`~.inquiry.Inquiry`."""
        return _KnownOrAsked(
            StageAsker(self._stage, self._run, input=rows_to_come, hears=hears, fatal=fatal), self._known, self._refer
        )

    def _refer(self) -> None:
        self.referred += 1
        self._stage.caller.progress.inputs += 1


class _KnownOrAsked:
    """Says what is known, and asks the reference for the rest."""

    def __init__(self, reference: StageAsker, known: Mapping[Key, Said], refer: Callable[[], None]) -> None:
        self._reference, self._known, self._refer = reference, known, refer
        self.settle, self.close = reference.settle, reference.close

    def ask(self, values: Sequence[Any], emit: Emit) -> Coroutine[Any, Any, Any]:
        said = self._known.get(key_of(values))
        if said is not None:
            return _told(said)
        self._refer()
        return self._reference.ask(values, emit)


async def _told(said: Said) -> Any:
    if said.error is not None:
        raise said.error
    return said.value


def _reference(stage: CallStage, run: QueryRun) -> Reference:
    strict = (stage.call.options.get("on_error") or run.settings.llm_on_error) == "fail"
    return Reference(stage, run, strict=strict, most=WINDOW_FACTOR * stage.rows_in_flight)


async def _found(
    kept: Sequence[pa.RecordBatch],
    stage: CallStage,
    run: QueryRun,
    proxied: Proxied,
    reference: Reference,
    phases: Phases,
) -> Found:
    """What the proxy may answer."""
    rows, scores = await worker.run(partial(_read, kept, stage, proxied.cascade.column))
    guarantee = proxied.cascade.guarantee
    if proxied.make is None:
        return Found({}, by_reference(guarantee, len(rows.keys), 0, proxied.why))
    proxy = proxied.make(scores)
    site, own = stage.call.site, stage.caller.spec.name

    def silent(error: Exception) -> None:
        run.notice(f"{site}: the proxy {proxy.name} does not answer, so {own} answers all rows: {error}", about=site)

    return await Certifier(guarantee, proxy, reference, proxied.prices, silent, phases).certify(rows)


def _read(kept: Sequence[pa.RecordBatch], stage: CallStage, column: str) -> tuple[Population, Mapping[Key, Any]]:
    """What rows ask, and the scores of an expression (``column``; "": there is none) by input."""
    inputs = [row for batch in kept for row in inputs_of(stage.call, batch, aggregate=stage.aggregate)]
    if not column:
        return Population.of(inputs), {}
    scores = [score for batch in kept for score in batch.column(column).to_pylist()]
    return Population.of(inputs), scores_by_input([None if row is None else key_of(row) for row in inputs], scores)


def _issued(stage: CallStage, run: QueryRun, proxied: Proxied, certificate: Certificate) -> IssuedCertificate:
    own = stage.caller.spec.name
    issued = IssuedCertificate(stage.call.site, stage.call.function, own, proxied.name, certificate)
    run.certificates.append(issued)
    return issued


def _withdraw(issued: IssuedCertificate | None, run: QueryRun) -> None:
    run.certificates[:] = [each for each in run.certificates if each is not issued]


async def _leaving(kept: deque[pa.RecordBatch]) -> Batches:
    while kept:
        yield kept.popleft()
