"""The pairs of a join as rows that can be asked about labels: which side has few short texts, and what either way costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Protocol

import numpy as np

from ....optimizer.cost.estimate import TOKENS_OUT
from ....udfs.models.base import Generate
from ....udfs.models.prices import estimate_usd
from ....udfs.prompts.candidates import which
from ...plan.pairs import Pairs
from ..batch_size import tokens
from ..joining.block_join import label_like
from ..joining.blocking import WORTHWHILE, Ints
from .call_stage import CallStage
from .pair_blocks import Layout, layout_of, side_of

TOGETHER = "all labels in a prompt"
MOST_LABELS = 64
LONGEST_LABEL = 200
FEWER = 2
"""So many rows a label, at least: of fewer, hardly any would be left when the classification has proved itself."""
NAMED_TOKENS = 12.0
"""Output of a question about all labels: the frame, and an id or two."""
A_THOUSAND = 1000


class Population(Protocol):
    """The distinct pairs of some rows, and the texts and values of both sides; see ``paired``."""

    @property
    def rows(self) -> list[int]: ...
    @property
    def lefts(self) -> Ints: ...
    @property
    def rights(self) -> Ints: ...
    @property
    def left_texts(self) -> Sequence[str]: ...
    @property
    def right_texts(self) -> Sequence[str]: ...
    @property
    def left_values(self) -> Sequence[Sequence[Any]]: ...
    @property
    def right_values(self) -> Sequence[Sequence[Any]]: ...


@dataclass(frozen=True, slots=True)
class Costs:
    """Of a mean row, in one unit: by its pairs alone, by the question about all labels, and of one pair."""

    pairs: float
    prompt: float
    pair: float


@dataclass(frozen=True, slots=True)
class Grid:
    """The pairs of one population, by the row and the label that they are of.

    Parameters
    ----------
    units : per row its pairs, by the place of the label. layout : of the prompt about one of them.
    labels, rows : lines of each in a prompt. costs : of a row.
    """

    units: Sequence[Mapping[int, int]]
    layout: Layout
    labels: Sequence[str]
    rows: Sequence[str]
    costs: Costs

    def prompt(self, row: int) -> Generate:
        """The question about all labels."""
        return which(self.layout.request, self.layout.question, self.labels, self.rows[row])


def grid_of(stage: CallStage, pairs: Pairs, population: Population) -> Grid | None:
    """The population by its labels; ``None``: neither side has few short texts, or nothing would be saved."""
    left, right = len(population.left_texts), len(population.right_texts)
    few = population.left_texts if left < right else population.right_texts
    if len(population.rows) < WORTHWHILE or max(left, right) < FEWER * len(few):
        return None
    if not label_like(few, MOST_LABELS, LONGEST_LABEL):
        return None
    layout = layout_of(stage, pairs, population.left_values[0])
    if layout is None:
        return None
    lefts = [side_of(stage, values, layout.left) for values in population.left_values]
    rights = [side_of(stage, values, layout.right) for values in population.right_values]
    if left < right:
        units, rows = _units(population.rights, _ranks(lefts)[population.lefts], right), rights
    else:
        units, rows = _units(population.lefts, _ranks(rights)[population.rights], left), lefts
    labels = sorted(lefts if left < right else rights)
    costs = _costs(stage, layout, labels, rows, len(population.rows) / len(rows))
    return Grid(units, layout, labels, rows, costs) if costs.prompt < costs.pairs else None


def _ranks(labels: Sequence[str]) -> Ints:
    """Per label its place among all in order: a prompt is the same in whatever order they come."""
    ranks = np.empty(len(labels), np.int64)
    ranks[sorted(range(len(labels)), key=labels.__getitem__)] = np.arange(len(labels))
    return ranks


def _units(rows: Ints, labels: Ints, count: int) -> list[dict[int, int]]:
    """Per row its pairs, by the place of the label."""
    found: list[dict[int, int]] = [{} for _ in range(count)]
    for unit, (row, label) in enumerate(zip(rows.tolist(), labels.tolist(), strict=True)):
        found[row][label] = unit
    return found


def _costs(stage: CallStage, layout: Layout, labels: Sequence[str], rows: Sequence[str], pairs_a_row: float) -> Costs:
    """By money where it is known, else by tokens."""
    row, label = fmean(map(tokens, rows)), fmean(map(tokens, labels))
    head = tokens(layout.request.system) + tokens(layout.question)
    shared = stage.batching.size.most if stage.batching else 1
    pair = head / shared + row + label, TOKENS_OUT["LLM_FILTER"]
    whole = which(layout.request, layout.question, labels, "")
    prompt = tokens(whole.system) + tokens(whole.user) + row, NAMED_TOKENS
    spec = stage.caller.spec
    usd = [estimate_usd(spec, round(sent * A_THOUSAND), round(out * A_THOUSAND)).usd for sent, out in (pair, prompt)]
    a_pair, a_prompt = [money or 0.0 for money in usd] if all(usd) else [sum(pair), sum(prompt)]
    return Costs(a_pair * pairs_a_row, a_prompt, a_pair)
