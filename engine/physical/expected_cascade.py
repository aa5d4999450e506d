"""What a call under a guarantee is expected to ask: its own model for some rows, and the proxy, if it is one that costs, for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ...optimizer.cascades.refusal import FEWEST, refusal
from ...optimizer.context import Statistics
from ...optimizer.cost.estimate import NodeEstimate, Price
from ...optimizer.cost.figure import Figure, exactly
from ...optimizer.cost.wall import alone
from ..plan.cascade import Cascade, Guarantee
from ..plan.nodes import Call, Plan
from ..plan.render import Path, nodes_with_paths

AGREES = 0.8
"""Share of rows in which a cheap proxy says what the reference says, before anything is known of it: a prior, for estimates alone."""
SPREAD = 0.15
"""How much that share may be off either way."""
PROOF = 400
"""Labels that a proof of precision or recall takes, about."""


@dataclass(frozen=True, slots=True)
class ExpectedCascade:
    """What is expected of one call.

    Parameters
    ----------
    rows : that reach it. share : of them that its own model will answer. labels : of these, for the proof.
    refused : why its own model will answer all ("": it may not have to). known : whether ``rows`` were counted.
    """

    rows: float
    share: Figure
    labels: float
    refused: str
    known: bool

    def words(self, model: str) -> str:
        """For people. ``model`` : the reference."""
        if self.refused:
            return f"{model} {'answers' if self.known else 'probably answers'} every row: {self.refused}"
        return (
            f"{model} about {self.rows * self.share.value:,.0f} of {self.rows:,.0f} rows, {self.labels:,.0f} of them labels for the proof "
            f"({self.share.source})"
        )


def expected_cascades(
    figures: Mapping[Path, NodeEstimate], plan: Plan, statistics: Statistics
) -> dict[Path, ExpectedCascade]:
    """Of every call under a guarantee whose rows are known, by its path.

    Parameters
    ----------
    statistics : how often the proxy said what the reference said in earlier queries.
    """
    found = {}
    for path, node in nodes_with_paths(plan):
        rows = figures[path].rows_in if path in figures else None
        if isinstance(node, Call) and node.call.cascade is not None and rows is not None:
            found[path] = _expected(rows, node.call.cascade, statistics.agreement(node.call, node.call.cascade.name))
    return found


def with_proxies(
    figures: Mapping[Path, NodeEstimate], plan: Plan, expected: Mapping[Path, ExpectedCascade], price: Price
) -> dict[Path, NodeEstimate]:
    """The figures with calls under a guarantee as they are expected to be answered."""
    made = dict(figures)
    for path, node in nodes_with_paths(plan):
        if path in expected and isinstance(node, Call) and node.call.cascade is not None:
            made[path] = _with_proxy(figures[path], expected[path], node.call.cascade, price)
    return made


def expected_share(guarantee: Guarantee, agrees: float) -> float:
    """Share of rows that the reference will answer, if the proxy agrees in so many and knows no better when it does.

    Of promises that are not of accuracy it is a rule of thumb.

    >>> expected_share(Guarantee(accuracy=0.9), 0.8), expected_share(Guarantee(accuracy=0.9), 0.95)
    (0.5, 0.0)
    """
    promised = (guarantee.accuracy, guarantee.precision, guarantee.recall)
    target = max(each for each in promised if each is not None)
    return 0.0 if agrees >= target else 1.0 - (1.0 - target) / (1.0 - agrees)


def _expected(rows: Figure, cascade: Cascade, known: Figure | None) -> ExpectedCascade:
    counted = rows.source.startswith("exact count")
    if refused := refusal(round(rows.value), cascade.guarantee):
        return ExpectedCascade(rows.value, exactly(1.0, "too few rows"), 0.0, refused, counted)
    likely, low, high = (AGREES, AGREES - SPREAD, AGREES + SPREAD)
    source = f"prior: the proxy agrees in {AGREES:.0%}"
    if known is not None:
        likely, low, high = known.value, known.low or known.value, known.high or known.value
        source = f"it agreed in {likely:.0%} of earlier rows"
    labels = min(rows.value, PROOF if cascade.guarantee.accuracy is None else FEWEST)
    # The surer the proxy is where it is right, the fewer; and where nothing can be proved, all.
    least, most, value = (max(labels / rows.value, expected_share(cascade.guarantee, p)) for p in (high, low, likely))
    return ExpectedCascade(rows.value, Figure(value, source, least, most), labels, "", counted)


def _with_proxy(figures: NodeEstimate, expected: ExpectedCascade, cascade: Cascade, price: Price) -> NodeEstimate:
    share = expected.share

    def some(figure: Figure | None) -> Figure | None:
        return None if figure is None else figure.times(share)

    time = figures.time
    if time is not None:
        time = replace(time, calls=time.calls * share.value, work=time.work.times(share))
    own = replace(
        figures,
        calls=some(figures.calls), tokens_in=some(figures.tokens_in), tokens_out=some(figures.tokens_out),
        money=some(figures.money), time=time, seconds=None if time is None else alone(time),
    )  # fmt: skip
    return (
        own
        if cascade.proxy != "model" or not cascade.name or expected.refused
        else _beside(own, figures, cascade.name, price)
    )


def _beside(own: NodeEstimate, whole: NodeEstimate, proxy: str, price: Price) -> NodeEstimate:
    """And the proxy's prompt about every input, which is about as long."""

    def both(some: Figure | None, all_: Figure | None) -> Figure | None:
        return None if some is None or all_ is None else some.plus(all_)

    read, written = whole.tokens_in, whole.tokens_out
    usd = None if read is None or written is None else price(proxy, read.value, written.value)
    money = None if usd is None or own.money is None or read is None else own.money.plus(Figure(usd, read.source))
    return replace(
        own,
        calls=both(own.calls, whole.calls),
        tokens_in=both(own.tokens_in, read),
        tokens_out=both(own.tokens_out, written),
        money=money,
    )
