"""One run of a planned statement: its books, its operators, and what it leaves behind."""

from __future__ import annotations

from concurrent.futures import Future

from ..dataflow.run import QueryRun
from ..settings import Settings
from ..store import Store
from . import retries
from .duck import Duck, Spool
from .estimates import Explained, explain
from .execute import Executor
from .learning import learn
from .model_pool import ModelPool
from .planned import Planned
from .profiling import ProfileStages
from .promises import certificate_lines
from .stages import Stages


class Execution:
    """One run of a planned statement. ``open`` and ``close`` block; call them from one thread at a time.

    Parameters
    ----------
    lessons : where what the run teaches is put while it is being written down, so that the next plan can wait for it.
    """

    def __init__(
        self,
        planned: Planned,
        duck: Duck,
        store: Store,
        settings: Settings,
        models: ModelPool,
        lessons: list[Future[None]],
    ) -> None:
        self.planned = planned
        self.run = QueryRun(store, settings)
        for notice in planned.notices:
            self.run.notice(notice, about=notice)
        self.stages = (ProfileStages if planned.profiles else Stages)(self.run, models)
        self._executor = Executor(duck, self.run, self.stages)
        self._duck, self._store, self._models, self._lessons = duck, store, models, lessons
        self._untold: Stages | None = self.stages
        self._certified = False

    def open(self) -> Spool:
        """Start, and give the reader of the result."""
        return self._executor.read(self.planned.plan)

    def interrupt(self, reason: BaseException) -> None:
        """Stop: calls under way are cancelled; what they had brought is kept."""
        self.run.cancel(reason)
        self._duck.interrupt()
        self._executor.interrupt()

    def close(self) -> None:
        """End the run and give back what it held."""
        try:
            self._executor.close()
        finally:
            self.run.finish()
            self.certify()
            self.keep()
            self.learn()

    def learn(self) -> None:
        """Add what the calls were like to the statistics, once; the next plan waits for it, nobody else."""
        stages, self._untold = self._untold, None
        if stages is not None and (lesson := learn(self.planned.plan, stages, self._store)) is not None:
            self._lessons.append(lesson)

    def certify(self) -> None:
        """Keep what was proved of the answers, once; nobody waits for it."""
        issued = self.run.certificates
        if issued and not self._certified:
            self._certified = True
            lines = certificate_lines(issued, self.planned.plan, self.run.query_id)
            self._store.certificates.put(lines)

    def keep(self) -> None:
        """Keep the statement for ``llm_retry`` if rows have failed; idempotent."""
        planned = self.planned
        if planned.written:
            retries.keep(self.run, planned.written, planned.plan, is_query=planned.returns_rows)

    def explain(self, *, ran: bool = True) -> Explained:
        """The plan with the figures of this run, or, if it has not ``ran`` yet, with estimates alone."""
        progress = self.run.progress if ran else None
        proved = self.run.certificates if ran else ()
        return explain(self._duck, self.planned, self.stages, self._models, progress, proved)
