"""How many rows an estimate from a sample is expected to ask: the sampler itself, on rows whose answers are drawn by chance.

Shares of TRUE are those that earlier queries taught, else a prior from end to end of what is possible.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from statistics import median
from typing import Any

import duckdb
import numpy as np

from ...optimizer.context import Statistics
from ...optimizer.cost.figure import Figure, exactly, joined
from ...optimizer.cost.sampled import SourceSample
from ...optimizer.cost.shares import selectivity, usual
from ...optimizer.search.estimation import Floats
from ...optimizer.search.sampler import Number, Sampler
from ..plan.nodes import Call, Filter, Plan, Relation
from ..plan.sampling import Estimand, Sampling
from .duck import Duck
from .estimated import SEED

COUNTED = 1 << 20
"""Rows by which the sizes of groups are known; of more rows, groups are as large in proportion."""
LOOKED_AT = 2000
"""Rows whose values answers are drawn for."""
LARGEST = 100_000
"""Rows of a group that are drawn from: of a larger one no more are asked."""
GROUPS, TRIES = 8, 5
"""Groups of which draws are tried, and how often; others count as these."""
MOST_FREE = 4

Bools = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True)
class _Pool:
    """What rows may bring to a number, by what is answered: ``[answers, row]``."""

    kind: str
    present: Bools
    values: Floats

    def number(self) -> Number:
        """As the sampler knows it."""
        low, high = (np.array([end]) for end in (self.values.min(initial=0.0), self.values.max(initial=0.0)))
        return Number(self.kind != "avg", self.kind == "count", low, high)


def planned_rows(duck: Duck, sql: str, rows: Figure, way: Sequence[Plan], statistics: Statistics) -> Figure:
    """Rows of a grouping that are expected to be asked.

    Parameters
    ----------
    sql : its rows before anybody is asked, so many as ``rows`` says. way : the grouping, and what is between it and these rows.
    """
    grouping = way[0]
    assert isinstance(grouping, Relation)
    assert grouping.sampling is not None
    sampling = grouping.sampling
    sizes = _sizes(duck, sql, sampling, rows.value)
    thin = _product([selectivity(node, statistics) for node in way if isinstance(node, Filter)])
    estimated = [e for e in sampling.estimands if e.estimated]
    read = " ".join(f"{e.present} {e.value}" for e in estimated)
    shares = {name: share for name, share in _shares(way, statistics).items() if name in read}
    pools = [_pool(duck, sql, e, list(shares)) for e in estimated]
    every = [thin, *shares.values()]
    likely = [_asked(sizes, pools, sampling, [f.value for f in every], attempt) for attempt in range(TRIES)]
    ends = [_asked(sizes, pools, sampling, end, 0) for end in _ends(every)]
    source = joined(rows.source, *(f.source for f in every), f"sample for ± {100 * sampling.accuracy:.3g}%")
    return Figure(float(median(likely)), source, float(min(likely + ends)), float(max(likely + ends)))


def thinned(sample: SourceSample, rows: Figure) -> SourceSample:
    """The sample of rows of which only some are asked: inputs repeat less often among these."""
    part = min(1.0, rows.value / sample.rows.value) if sample.rows.value else 1.0

    def among(ratio: float) -> float:
        if not ratio or not part:
            return ratio
        # Each input is there 1 / ratio times, and missed if no row with it is drawn.
        return min(1.0, ratio * (1.0 - math.pow(1.0 - part, 1.0 / ratio)) / part)

    return replace(
        sample, rows=rows, whole=sample.rows, distinct={site: among(ratio) for site, ratio in sample.distinct.items()}
    )


def _ends(shares: Sequence[Figure]) -> list[list[float]]:
    """All shares at their lower, and at their upper ends."""
    return [
        [f.value if f.low is None else f.low for f in shares],
        [f.value if f.high is None else f.high for f in shares],
    ]


def _product(shares: Sequence[Figure]) -> Figure:
    found = exactly(1.0, "")
    for share in shares:
        found = found.times(share)
    return replace(found, high=None if found.high is None else min(1.0, found.high))


def _shares(way: Sequence[Plan], statistics: Statistics) -> dict[str, Figure]:
    """Of answers of yes or no that numbers may read."""
    made = [node for node in way if isinstance(node, Call) and node.call.output.type == "BOOLEAN"]
    return {
        node.call.output.name: statistics.selectivity(node.call, node.input) or usual(node.call, statistics)
        for node in made[:MOST_FREE]
    }


def _sizes(duck: Duck, sql: str, sampling: Sampling, rows: float) -> list[float]:
    """Of groups."""
    keys = f" GROUP BY {', '.join(sampling.keys)}" if sampling.keys else ""
    counted = duck.execute(
        f"SELECT count(*) FROM (SELECT * FROM ({sql}) AS __part LIMIT {COUNTED}) AS __rows{keys}"
    ).fetchall()
    sizes = [float(n) for (n,) in counted if n]
    total = sum(sizes)
    larger = rows / total if total >= COUNTED else 1.0
    return [size * larger for size in sizes]


def _pool(duck: Duck, sql: str, estimand: Estimand, answers: Sequence[str]) -> _Pool:
    """Looked up in the first rows, for every answer that may be given; where that cannot be told, one row as good as another."""
    rows = f"(SELECT * FROM ({sql}) AS __part LIMIT {LOOKED_AT}) AS __rows"
    present, values = [], []
    try:
        for given in product((True, False), repeat=len(answers)):
            free = ", ".join(f"{value} AS {name}" for name, value in zip(answers, given, strict=True))
            source = f"{rows}, (SELECT {free}) AS __given" if free else rows
            counts = f"coalesce(TRY({estimand.present}), FALSE) AS p, TRY(CAST({estimand.value} AS DOUBLE)) AS v"
            table = duck.table(f"SELECT {counts} FROM {source}")
            present.append(table.column("p").to_numpy().astype(bool))
            values.append(np.nan_to_num(table.column("v").to_numpy().astype(np.float64)))
    except duckdb.Error:
        ways = 1 << len(answers)
        return _Pool(estimand.kind, np.ones((ways, 1), np.bool_), np.ones((ways, 1)))
    return _Pool(estimand.kind, np.array(present), np.array(values))


def _asked(
    sizes: Sequence[float], pools: Sequence[_Pool], sampling: Sampling, shares: Sequence[float], attempt: int
) -> float:
    """Rows asked in all groups. ``shares`` : of rows that filters keep, and of each answer's TRUE."""
    ordered = sorted(sizes)
    chosen = (
        ordered if len(ordered) <= GROUPS else [ordered[round(at)] for at in np.linspace(0, len(ordered) - 1, GROUPS)]
    )
    drawn = sum(_drawn(round(size), pools, sampling, shares, attempt) for size in chosen)
    return drawn * len(ordered) / len(chosen) if chosen else 0.0


def _drawn(size: int, pools: Sequence[_Pool], sampling: Sampling, shares: Sequence[float], attempt: int) -> float:
    """Rows of one group."""
    size = min(size, LARGEST)
    sampler = Sampler(np.zeros(size, np.int64), [pool.number() for pool in pools], sampling.accuracy, SEED)
    chance, (thin, *yes) = np.random.default_rng([SEED, attempt]), shares
    # The first answer of ``product`` is TRUE.
    odds = np.array([math.prod(ps) for ps in product(*((p, 1 - p) for p in yes))])
    while len(rows := sampler.draw()):
        stays, answer = chance.random(len(rows)) < thin, chance.choice(len(odds), len(rows), p=odds / odds.sum())
        for number, pool in enumerate(pools):
            row = chance.integers(pool.values.shape[1], size=len(rows))
            counts = stays & pool.present[answer, row]
            sampler.see(number, rows[counts], pool.values[answer, row][counts])
        sampler.judge()
    return float(sampler.asked(0)[0]) if size else 0.0
