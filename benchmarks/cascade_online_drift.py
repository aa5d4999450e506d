"""Streams whose rows change as they come, and references that change their mind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from .cascade_online_runs import Ints, online, ordered
from .cascade_online_streams import Stream, stream

Order = Callable[[Stream, np.random.Generator], Ints]
Change = Callable[[Stream, Ints, Ints], Ints]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way to drift.

    Parameters
    ----------
    order : the rows' own. change : what a reference says from the middle of the stream on, of rows given by place, and what it said.
    measure : what is compared with the reference: accuracy against true labels where the rows drift, agreement where it drifts
        itself (then there is no truth but its own). together : rows of a micro-batch.
    """

    words: str
    stream: str
    order: Order | None = None
    change: Change | None = None
    measure: Literal["accuracy", "agreement"] = "accuracy"
    together: int = 64


@dataclass(frozen=True, slots=True)
class Drifted:
    """What came of a run: points below the reference in the worst window, share of reference calls, alarms."""

    worst: float
    share: float
    alarms: int


def drifted(scenario: Scenario, quality: float, seed: int) -> Drifted:
    """One run."""
    source = stream(scenario.stream)
    chance = np.random.default_rng([seed, 7])
    order = chance.permutation(len(source.texts)) if scenario.order is None else scenario.order(source, chance)
    rows = ordered(source, seed, embedded=False, order=order)
    if scenario.change is not None:
        middle = len(order) // 2
        said = rows.said.copy()
        said[middle:] = scenario.change(source, order[middle:], said[middle:])
        rows = replace(rows, said=said)
    run = online(rows, quality, seed, together=scenario.together)
    worst = run.worst("labels" if scenario.measure == "accuracy" else "reference")
    return Drifted(worst, run.share, len(run.report.alarms))


def by_length(source: Stream, chance: np.random.Generator) -> Ints:
    """Short texts first."""
    return np.argsort([len(text) + 8 * chance.random() for text in source.texts])


def by_topic(source: Stream, chance: np.random.Generator) -> Ints:
    """One topic after the other."""
    return np.lexsort((chance.random(len(source.texts)), source.topic))


def other_rule(source: Stream, rows: Ints, said: Ints) -> Ints:
    """A class is called by another's name."""
    return np.where(said == 3, 0, said)


def other_topic(source: Stream, rows: Ints, said: Ints) -> Ints:
    """All labels of one topic are turned round."""
    return np.where(source.topic[rows] == 1, 1 - said, said)


def turned_round(source: Stream, rows: Ints, said: Ints) -> Ints:
    """All labels are turned round."""
    return 1 - said


PROBLEMS, GROUPS, POLARITY = "banking, problems", "banking, 7 groups", "rt_polarity"
SCENARIOS = (
    Scenario("rt_polarity by length", POLARITY, by_length),
    Scenario("rt_polarity by topic", POLARITY, by_topic),
    Scenario("banking, problems by topic", PROBLEMS, by_topic),
    Scenario("banking, 7 groups by length", GROUPS, by_length),
    Scenario("reference renames a class of 7 midway", GROUPS, None, other_rule, "agreement"),
    Scenario("reference turns the labels of a topic round midway", PROBLEMS, None, other_topic, "agreement"),
    Scenario("reference turns all labels round, micro-batches of 16", PROBLEMS, None, turned_round, "agreement", 16),
    Scenario("reference turns all labels round, micro-batches of 64", PROBLEMS, None, turned_round, "agreement", 64),
)
