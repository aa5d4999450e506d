"""What rules may ask about the world: settings, models, statistics. Frozen: a rule cannot leave anything behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ..engine.plan.nodes import Plan, SemanticCall, Source
from ..engine.settings import Settings
from ..udfs.models.base import Capabilities
from .cost.figure import Figure
from .search.policy import Policy


class Statistics(Protocol):
    """What earlier queries and the database's constraints taught. ``None`` always means: not known."""

    def selectivity(self, call: SemanticCall, below: Plan | None = None) -> Figure | None:
        """Share (0..1) of asked rows for which this BOOLEAN call said TRUE.

        Parameters
        ----------
        below : what feeds the call: the share is of rows that the semantic filters in it leave. ``None``: of all rows, before
            any of them (if that was never seen: of whatever rows it was asked about, and the source says so).
        """
        ...

    def usual(self, call: SemanticCall) -> Figure | None:
        """The share of rows of which other calls of the function were TRUE: what to expect of one that nobody has seen."""
        ...

    def tokens_out(self, call: SemanticCall) -> Figure | None:
        """Mean output tokens for one distinct input; of several rows in one prompt, a row's share."""
        ...

    def calls(self, call: SemanticCall) -> Figure | None:
        """Mean calls of the model for one distinct input; of several rows in one prompt, a row's share."""
        ...

    def tokens_in(self, call: SemanticCall) -> Figure | None:
        """Mean input tokens for one distinct input, as the server counted them; a row's share of its prompt."""
        ...

    def seconds(self, call: SemanticCall) -> Figure | None:
        """Mean seconds of model time for one distinct input (its calls one after the other); a row's share of its prompt."""
        ...

    def agreement(self, call: SemanticCall, arm: str) -> Figure | None:
        """Share (0..1) of rows in which an arm, by its name, said what the call as written says."""
        ...

    def compared(self, call: SemanticCall, arm: str, below: Plan | None) -> tuple[float, float, float]:
        """Rows of this data, behind the same semantic filters, in which earlier queries compared an arm with the call as
        written, the sum of agreements, and about how many of them the call kept (BOOLEAN)."""
        ...

    def arms(self, call: SemanticCall) -> tuple[str, ...]:
        """Names of arms that earlier queries compared with the call as written, on this data."""
        ...

    def asked(self, call: SemanticCall, below: Plan | None) -> bool:
        """Whether answers for rows of this data that the semantic filters in ``below`` leave are likely to be in the cache."""
        ...

    def unique(self, source: Source, columns: frozenset[str]) -> bool:
        """Whether no two rows of ``source`` agree in all of ``columns`` (a declared key, not a guess)."""
        ...

    def rereadable(self, source: Source) -> bool:
        """Whether reading ``source`` twice within a statement gives the same rows."""
        ...

    def of_session(self, sql: str) -> bool:
        """Whether an expression means something on the user's connection alone (a macro, a sequence)."""
        ...


@dataclass(frozen=True, slots=True)
class NoStatistics:
    """Knows nothing.

    >>> from anserdb.engine.plan.nodes import Source
    >>> NoStatistics().unique(Source("", "t", ()), frozenset())
    False
    """

    def selectivity(self, call: SemanticCall, below: Plan | None = None) -> Figure | None:
        """Not known."""
        del call, below
        return None

    def usual(self, call: SemanticCall) -> Figure | None:
        """Not known."""
        del call
        return None

    def tokens_out(self, call: SemanticCall) -> Figure | None:
        """Not known."""
        del call
        return None

    def calls(self, call: SemanticCall) -> Figure | None:
        """Not known."""
        del call
        return None

    def tokens_in(self, call: SemanticCall) -> Figure | None:
        """Not known."""
        del call
        return None

    def seconds(self, call: SemanticCall) -> Figure | None:
        """Not known."""
        del call
        return None

    def agreement(self, call: SemanticCall, arm: str) -> Figure | None:
        """Not known."""
        del call, arm
        return None

    def compared(self, call: SemanticCall, arm: str, below: Plan | None) -> tuple[float, float, float]:
        """Nothing."""
        del call, arm, below
        return (0.0, 0.0, 0.0)

    def arms(self, call: SemanticCall) -> tuple[str, ...]:
        """None."""
        del call
        return ()

    def asked(self, call: SemanticCall, below: Plan | None) -> bool:
        """Never."""
        del call, below
        return False

    def unique(self, source: Source, columns: frozenset[str]) -> bool:
        """Never claimed."""
        del source, columns
        return False

    def rereadable(self, source: Source) -> bool:
        """Never claimed."""
        del source
        return False

    def of_session(self, sql: str) -> bool:
        """Not known to."""
        del sql
        return False


def default_capabilities(model: str) -> Capabilities:
    """What is assumed of a model nobody has opened yet."""
    del model
    return Capabilities()


def unknown_price(model: str) -> float | None:
    """What is known of the price of a model nobody has asked for."""
    del model
    return None


def nobody_taught(call: SemanticCall) -> str | None:
    """Which proxy has learnt a call, where none was made."""
    del call
    return None


@dataclass(frozen=True, slots=True)
class Context:
    """Everything a rule may look at besides the plan.

    Parameters
    ----------
    settings : the connection's.
    capabilities : by model name. price : by model name, US dollars of a typical question; ``None``: not known.
    candidates : models that may answer for others, where answers may change.
    statistics : oracle; :class:`NoStatistics` when nothing has been measured.
    taught : of a call with a promise, the proxy of CREATE PROXY that is tested well enough for it; ``None``: there is none.
    """

    settings: Settings
    capabilities: Callable[[str], Capabilities] = default_capabilities
    statistics: Statistics = NoStatistics()
    candidates: tuple[str, ...] = ()
    price: Callable[[str], float | None] = unknown_price
    taught: Callable[[SemanticCall], str | None] = nobody_taught

    @property
    def policy(self) -> Policy:
        """What the user wants of a plan."""
        s = self.settings
        return Policy(s.llm_objective, s.llm_min_quality, s.llm_max_cost_usd, s.llm_max_seconds, s.llm_best_effort)
