"""ORDER BY a score LIMIT 10 by a dear model, with a cheap one as a screen: what is saved, and how many of the first rows are found.

``make bench-topk-screen``. The judges are SIMULATED: scores of both models are normal, correlated by the figure in the first column (a
figure of 1 would be the same model twice), and put on a scale from 0 to 1, continuous or in steps of 0.05, as models say them. A score costs
the screen a twentieth of what it costs the reference (SIMULATED price), prompts are as long for both. Baseline: the reference scores every row
once, which is all that it can be asked; the same rows are never asked twice by either way. Recall: of the reference's own first ten, how
many are among the ten that come out; of rows with equal scores any will do.

Targets, set before the first run: recall@10 >= 0.9 in 95 % of seeds in each world in which the assumption holds (the screen loses the first
rows no more often than those behind them); money <= 0.60 of the baseline's with 1,000 rows and correlation >= 0.95, <= 0.40 with 10,000 rows
and correlation >= 0.9; <= 1.10 where the screen knows hardly anything. In the last world the assumption is false; it has no target.
How looks and bars share the error probability was chosen after that, on other seeds (1000 and above).
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

import numpy as np

from anserdb.engine.physical.operators.screened import FirstRows, Screen, ScreenedJudge
from anserdb.engine.physical.ranking.judge import Pair
from anserdb.engine.physical.ranking.top_k import top_k

from .support_measure import table

PLACES, RECALL, SEEDS = 10, 0.9, 20
SURE = 0.95
PRICE = 0.05
SMALL, LARGE = 1_000, 10_000
BLIND, USELESS = "0.95, blind to the best", 0.2
CORRELATIONS = (0.97, 0.95, 0.9, 0.8, USELESS)


@dataclass(slots=True)
class Scores:
    """A judge that knows its scores, and counts what it is asked."""

    scores: np.ndarray
    asked: int = 0

    async def compare(self, pairs: Sequence[Pair]) -> Sequence[float | None]:
        """By the scores."""
        self.asked += len(pairs)
        return [float(np.heaviside(self.scores[first] - self.scores[second], 0.5)) for first, second in pairs]

    async def score(self, rows: Sequence[int]) -> Sequence[float | None]:
        """The scores."""
        self.asked += len(rows)
        return list(self.scores[list(rows)].tolist())


@dataclass(frozen=True, slots=True)
class Run:
    """One query: recall of the first rows, questions to both models, and what they cost over what the baseline costs."""

    recall: float
    reference: float
    screen: float
    money: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "money", self.reference + PRICE * self.screen)


def pointwise(rows: int, correlation: float, step: float, seed: int, *, blind: bool = False) -> Run:
    """One query by scores."""
    rng = np.random.default_rng(seed)
    reference = rng.normal(size=rows)
    noise = rng.normal(size=rows)
    screen = correlation * reference + np.sqrt(1.0 - correlation**2) * noise
    if blind:
        screen[np.argsort(-reference)[:PLACES]] = rng.normal(size=PLACES)
    dear, cheap = Scores(_scale(reference, step)), Scores(_scale(screen, step))
    judge = ScreenedJudge(
        dear, [Screen("small", cheap, lambda: PRICE)], FirstRows(PLACES, RECALL), keys=range(rows), seed=seed
    )
    found = asyncio.run(top_k(judge, range(rows), PLACES, "pointwise", seed=seed))
    return Run(_recall(found.rows, dear.scores), dear.asked / rows, cheap.asked / rows)


def _scale(normal: np.ndarray, step: float) -> np.ndarray:
    score = 1.0 / (1.0 + np.exp(-1.5 * normal))
    return np.round(score / step) * step if step else score


def _recall(found: Sequence[int], scores: np.ndarray) -> float:
    """Rows as good as the tenth of the reference's own."""
    return float((scores[list(found)] >= np.sort(scores)[-PLACES] - 1e-12).sum()) / PLACES


def line(
    name: str, kind: str, runs: Sequence[Run], most: float | None, *, judged: bool = True
) -> tuple[list[str], bool]:
    """A line of the table, and whether its targets are met."""
    held = fmean(run.recall >= RECALL for run in runs)
    money = fmean(run.money for run in runs)
    met = (held >= SURE and (most is None or money <= most)) or not judged
    figures = [
        f"{held:.1%}",
        f"{fmean(run.recall for run in runs):.3f} ({min(run.recall for run in runs):.1f})",
        f"{fmean(run.reference for run in runs):.2f}",
        f"{fmean(run.screen for run in runs):.2f}",
        f"{fmean(run.reference + run.screen for run in runs):.2f}",
        f"{money:.2f} ({max(run.money for run in runs):.2f})",
        "" if most is None else f"{most:.2f}",
        "no target" if not judged else "met" if met else "MISSED",
    ]
    return [name, kind, *figures], met


HEAD = [
    "correlation", "scores", f"seeds with recall@{PLACES} ≥ {RECALL}", "recall, mean (worst)", "reference's calls", "screen's calls",
    "tokens", "money, mean (most)", "money, target", "",
]  # fmt: skip


def _most(rows: int, correlation: float) -> float | None:
    """The target for money."""
    if correlation == USELESS:
        return 1.10
    if rows == SMALL:
        return 0.60 if correlation >= 0.95 else None
    return 0.40 if correlation >= 0.9 else None


def by_scores(rows: int, seeds: int) -> list[bool]:
    """Prints the table of a size; whether the targets are met."""
    made = [
        line(f"{r:g}", kind, [pointwise(rows, r, step, seed) for seed in range(seeds)], _most(rows, r))
        for r in CORRELATIONS
        for kind, step in (("continuous", 0.0), ("steps of 0.05", 0.05))
    ]
    runs = [pointwise(rows, 0.95, 0.0, seed, blind=True) for seed in range(seeds)]
    blind = line(BLIND, "continuous", runs, None, judged=False)
    print(f"\n## {rows:,} rows, {seeds} seeds, pointwise; per question of the baseline\n")
    print(table(HEAD, [cells for cells, _ in (*made, blind)]))
    return [met for _, met in made]


def main() -> None:
    """Prints all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=[SMALL, LARGE])
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args()
    print(__doc__)
    met = [held for rows in options.rows for held in by_scores(rows, options.seeds)]
    print(f"\n{sum(met)} of {len(met)} targets are met.")


if __name__ == "__main__":
    main()
