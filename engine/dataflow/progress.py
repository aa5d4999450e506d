"""What a running or finished query tells the people who wait for it and pay for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from .moments import Moments


@dataclass(slots=True)
class SiteProgress:
    """Counters of one call site; only the event loop's thread writes them.

    Parameters
    ----------
    site, function, model : which call.
    rows_in : rows that reached it. rows_done : rows answered (NULL inputs, guarded rows and failures included).
    rows_null : rows answered NULL without a call because an input was NULL or the guard was not TRUE.
    asked : distinct questions put. cached : of these, found in the store. shared : joined to an equal question in flight.
    calls : requests sent to the model (re-asks and calibration included; retries of a failed attempt are in ``retries``).
    calibration : of these, requests for calibration; reasks : those that ask again because an answer was none.
    in_flight : calls that have not ended; waiting : of these (and of ``calls``), those that have no slot yet: nothing has left.
    discarded : calls that nobody used. failed : rows that became errors.
    tokens_in, tokens_out : as counted by the server. cost_usd : money of priced calls; unpriced : calls of unknown price.
    energy_j_low, energy_j, energy_j_high : joules, at least, likeliest and at most. co2_g : grams of CO₂ equivalent, likeliest.
    energy_method : how they were found last. unmetered : calls of unknown energy.
    avoided_energy_j : likeliest joules that answers found in the store would have taken, as far as anybody knows.
    model_seconds : sum of the calls' own wall times.
    notes : what the task says of itself (threshold in use, …).
    rows_total : rows that will reach it, where somebody knows or guesses; total_is_exact : which of the two.
    arm : the calls of an arm; rows are counted at its call site ("": it is a call site).
    inputs : distinct inputs that questions were begun for. rows_true : rows answered with TRUE. moments : of its calls.
    """

    site: str
    function: str
    model: str
    rows_in: int = 0
    rows_done: int = 0
    rows_null: int = 0
    asked: int = 0
    cached: int = 0
    shared: int = 0
    calls: int = 0
    calibration: int = 0
    reasks: int = 0
    retries: int = 0
    failed: int = 0
    in_flight: int = 0
    waiting: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0
    model_seconds: float = 0.0
    discarded: int = 0
    energy_j_low: float = 0.0
    energy_j: float = 0.0
    energy_j_high: float = 0.0
    co2_g: float = 0.0
    energy_method: str = ""
    unmetered: int = 0
    avoided_energy_j: float = 0.0
    notes: dict[str, str] = field(default_factory=dict)
    rows_total: int | None = None
    total_is_exact: bool = False
    arm: str = ""
    inputs: int = 0
    rows_true: int = 0
    moments: Moments = field(default_factory=Moments)


@dataclass(slots=True, weakref_slot=True, eq=False)
class QueryProgress:
    """All call sites of a query, and its clock in seconds (monotonic start, end once finished).

    ``watched``: somebody wants to know how much is left, and it may cost a look at DuckDB's plan.
    """

    query_id: str
    started: float
    sites: dict[str, SiteProgress] = field(default_factory=dict)
    finished: float | None = None
    price_source: str = ""
    notices: list[str] = field(default_factory=list)
    watched: bool = False

    @property
    def begun(self) -> bool:
        """Whether a call site is ready to ask."""
        return bool(self.sites)

    @property
    def calls(self) -> int:
        """Requests sent, over all sites."""
        return sum(s.calls for s in self.sites.values())

    @property
    def cost_usd(self) -> float | None:
        """Money spent in US dollars; ``None`` when some call had no known price."""
        return None if any(s.unpriced for s in self.sites.values()) else sum(s.cost_usd for s in self.sites.values())
