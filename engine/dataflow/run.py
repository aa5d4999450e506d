"""What the parts of one running query share."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
import uuid
from collections.abc import Callable

from ..settings import Settings
from ..store import Store
from .budget import Budget, budget_caps
from .certificates import IssuedCertificate
from .dispatcher import rank
from .estimates import EstimatedNumber
from .gates import Origin
from .lookups import Lookups
from .memo import Memo
from .progress import QueryProgress, SiteProgress
from .reuses import Reuses
from .saves import Saves
from .stage_graph import StageGraph
from .tracing import Tracing

UNSTORED_ANSWERS = 200_000
UNSTORED_BYTES = 64 << 20

_ages = itertools.count()


class QueryRun:
    """One execution of one statement.

    Parameters
    ----------
    store : where answers, records and errors go.
    settings : copied, so that a later ``SET`` does not reach a running query.
    query_id : as it appears in ``llm_calls()``; made up if not given.

    Attributes
    ----------
    age : a number that grows from query to query. graph : the stages of the plan that runs.
    estimates : numbers of its result that were estimated. certificates : what was proved of its calls' answers.
    error : the first error of the query as it was raised; DuckDB, between us and the user, turns errors into text.
    """

    def __init__(self, store: Store, settings: Settings, query_id: str | None = None) -> None:
        self.query_id = query_id or uuid.uuid4().hex[:16]
        self.age = next(_ages)
        self.graph = StageGraph(())
        self.store = store
        self.settings = settings.model_copy()
        self.progress = QueryProgress(self.query_id, time.monotonic())
        self.budget = Budget(budget_caps(settings), self.rows_done)
        self.lookups = Lookups(store, settings.llm_cache_ttl_s)
        self.saves = Saves(store, settings.llm_cache_ttl_s)
        store.upkeep.attend(self.progress, settings.llm_cache_max_mb)
        self.traces = Tracing(store)
        self.reuses = Reuses(store, self.query_id)
        self.estimates: list[EstimatedNumber] = []
        self.certificates: list[IssuedCertificate] = []
        self.unstored: Memo[bytes, bytes] = Memo(UNSTORED_ANSWERS, UNSTORED_BYTES)
        self.error: BaseException | None = None
        # Re-entrant: cancel() may come from a signal handler that interrupts its own thread in here.
        self._lock = threading.RLock()
        self._cancelled = False
        self._about: dict[str, str] = {}
        self._callbacks: list[Callable[[], object]] = []

    def site(self, site: str, function: str, model: str, arm: str = "") -> SiteProgress:
        """The counters of a call site, or of one of its arms, made on first use."""
        label = f"{site} by {arm}" if arm else site
        return self.progress.sites.setdefault(label, SiteProgress(label, function, model, arm=arm))

    def origin(self, site: str) -> Origin:
        """On whose behalf a call site's calls are made: the deeper its stage lies in the plan, the sooner they go."""
        depths = self.graph.depths()
        depth = max((depths[stage.id] for stage in self.graph.stages if stage.label == site), default=0)
        return Origin(rank(depth=depth, age=self.age), self.query_id, site, self.traces)

    def rows_done(self) -> int:
        """Rows answered so far, over all call sites."""
        return sum(site.rows_done for site in list(self.progress.sites.values()))

    @property
    def notices(self) -> list[str]:
        """What the user should read beside the result."""
        return self.progress.notices

    def notice(self, text: str, about: str = "") -> None:
        """Add a notice, once; a later one about the same thing takes the place of the earlier."""
        notices, old = self.progress.notices, self._about.get(about)
        if about:
            self._about[about] = text
        if old in notices:
            notices[notices.index(old)] = text
        elif text not in notices:
            notices.append(text)

    def priced_by(self, source: str) -> None:
        """Note where a price came from."""
        known = self.progress.price_source
        if source not in known.split(", "):
            self.progress.price_source = f"{known}, {source}" if known else source

    def fail(self, error: BaseException) -> None:
        """Remember why the query failed, unless an earlier reason is known."""
        with self._lock:
            if self.error is None:
                self.error = error

    @property
    def cancelled(self) -> bool:
        """Whether :meth:`cancel` was called."""
        return self._cancelled

    def check(self) -> None:
        """Raise the reason if the query was cancelled."""
        if self._cancelled and self.error is not None:
            raise self.error

    def cancel(self, reason: BaseException) -> None:
        """Stop the query from any thread; idempotent. Its reader raises ``reason``, which stays in :attr:`error`."""
        with self._lock:
            self.fail(reason)
            self._cancelled = True
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def on_cancel(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Have ``callback`` called once, in the thread that cancels (now, if that has happened). Returns its removal."""
        with self._lock:
            if not self._cancelled:
                self._callbacks.append(callback)
                return lambda: self._remove(callback)
        callback()
        return lambda: None

    def _remove(self, callback: Callable[[], object]) -> None:
        with self._lock, contextlib.suppress(ValueError):
            self._callbacks.remove(callback)

    def finish(self) -> None:
        """Stop the query's clock and write down what was kept back; idempotent."""
        self.traces.flush()
        self.reuses.flush()
        if self.progress.finished is None:
            self.progress.finished = time.monotonic()
            self.store.upkeep.ended()
