"""The figures of ``bench-ancestry``: what a run measured, tables of runs, and the targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, quantiles

from .ancestry_apps import App
from .support_measure import table

LOWER, SLOWER, APPS_LOWER, SATURATED, EARLY = 0.90, 1.03, 3, 0.65, 0.60
"""Targets, as shares of LangGraph's mean and of first requests about an item."""
OURS, THEIRS = "AnserDB", "LangGraph"


@dataclass(frozen=True, slots=True)
class Run:
    """One run: latencies by document in seconds, the client's CPU, and what the server saw. ``early`` : by item."""

    seconds: Mapping[int, float]
    texts: Mapping[int, str]
    cpu_s: float
    asked: Mapping[str, int]
    early: Sequence[bool]
    in_flight: int


Measured = dict[App, dict[str, list[Run]]]
"""The runs of each client."""


def report(app: App, runs: Mapping[str, Sequence[Run]]) -> None:
    """Print one application's table."""
    head = ["client", "mean s", "p95 s", "AnserDB's mean ÷ its", "p95 ÷ its", "calls", "most in flight", "asked early",
            "client CPU s"]  # fmt: skip
    print(f"\n{app.title} ({len(_seconds(runs[OURS]))} documents with an answer)\n")
    print(table(head, [_row(name, runs) for name in runs]), flush=True)


def _row(name: str, runs: Mapping[str, Sequence[Run]]) -> list[str]:
    mine = runs[name]
    each = [_mean([run]) / _mean([their]) for run, their in zip(runs[OURS], mine, strict=True)]
    spread = "" if len(each) == 1 else f" ({min(each):.2f}–{max(each):.2f})"
    return [
        name,
        f"{_mean(mine):.2f}",
        f"{_p95(mine):.2f}",
        f"{_ratio(runs, name):.2f}{spread}",
        f"{_p95(runs[OURS]) / _p95(mine):.2f}",
        f"{sum(sum(run.asked.values()) for run in mine):,}",
        f"{max(run.in_flight for run in mine)}",
        f"{_early_share(mine):.0%}",
        f"{sum(run.cpu_s for run in mine):.2f}",
    ]


def _seconds(runs: Sequence[Run]) -> list[float]:
    return [seconds for run in runs for seconds in run.seconds.values()]


def _mean(runs: Sequence[Run]) -> float:
    """Seconds, over all documents of all runs."""
    return fmean(_seconds(runs))


def _p95(runs: Sequence[Run]) -> float:
    """95 % of documents are there by then."""
    return quantiles(_seconds(runs), n=20, method="inclusive")[-1]


def _ratio(runs: Mapping[str, Sequence[Run]], name: str) -> float:
    """AnserDB's mean latency as a share of a client's."""
    return _mean(runs[OURS]) / _mean(runs[name])


def _early_share(runs: Sequence[Run]) -> float:
    return fmean(early for run in runs for early in run.early)


def print_targets(unsaturated: Measured, saturated: Measured) -> None:
    """Print what was wanted, and whether it is so."""
    ratios = [_ratio(runs, THEIRS) for runs in unsaturated.values()]
    full = [_ratio(runs, THEIRS) for runs in saturated.values()]
    early = [_early_share(runs[OURS]) for runs in unsaturated.values()]
    lower = sum(ratio <= LOWER for ratio in ratios)
    print("\n### Targets\n")
    for words, met, figures in (
        (f"{APPS_LOWER} of {len(ratios)} applications at least {1 - LOWER:.0%} lower", lower >= APPS_LOWER, ratios),
        (f"none more than {SLOWER - 1:.0%} slower", max(ratios) <= SLOWER, ratios),
        (f"saturated, at most {SATURATED:.2f} of first in, first out", max(full) <= SATURATED, full),
        (f"{EARLY:.0%} of items asked about before their document was written", min(early) >= EARLY, early),
    ):
        print(f"- {words}: {'met' if met else 'MISSED'} ({', '.join(f'{figure:.3f}' for figure in figures)})")
