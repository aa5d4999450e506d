"""Scores of proxies beside what a reference says: tables that others made, and sets made here from other tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from anserdb.engine.plan.cascade import Guarantee

from .cascade_check import View

SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
TAUGHT = 1_500
"""Rows that a student of these sets learns from; they are not among the rows that are measured."""


@dataclass(frozen=True, slots=True)
class World:
    """A table.

    Parameters
    ----------
    sure : how sure the proxy is of its answer. agrees : whether the reference gives the same.
    score, true : how sure the proxy is of TRUE, and whether the reference says so; ``None``: answers are labels.
    """

    name: str
    sure: NDArray[np.float64]
    agrees: NDArray[np.bool_]
    score: NDArray[np.float64] | None = None
    true: NDArray[np.bool_] | None = None

    def view(self, guarantee: Guarantee) -> View | None:
        """For one promise; ``None``: it does not go with labels."""
        if guarantee.accuracy is not None:
            return View(_line(self.sure), self.agrees)
        return None if self.score is None or self.true is None else View(_line(self.score), self.true)


def binary(name: str, score: NDArray[np.float64], true: NDArray[np.bool_]) -> World:
    """The proxy says TRUE from a probability of a half on."""
    return World(name, np.abs(score - 0.5), (score >= 0.5) == true, score, true)


def given() -> Iterator[World]:
    """Real scores of proxies."""
    for name in ("llama_sst2", "llama_mmlu"):
        table = pq.read_table(SHARED / "cascade" / f"{name}.parquet")
        yield binary(name, table["proxy_pred_true_prob"].to_numpy(), np.array(table["oracle_pred"], np.bool_))
    table = pq.read_table(SHARED / "cascade" / "supg_onto.parquet")
    yield binary("supg_onto", table["proxy_score"].to_numpy(), np.array(table["label"], np.bool_))


def made() -> Iterator[World]:
    """Sets nobody handed over: real tables, proxies made here; the reference is an oracle that says the table's label."""
    yield _pairs()
    rows = pq.read_table(SHARED / "text" / "rt_polarity.parquet").to_pylist()
    yield _student(
        "rt_polarity, words", [row["review"] for row in rows], [row["sentiment"] == "POSITIVE" for row in rows]
    )
    rows = pq.read_table(SHARED / "text" / "banking77_train.parquet").to_pylist()
    yield _student("banking77, 77 labels", [row["text"] for row in rows], [row["category"] for row in rows])


def _pairs() -> World:
    """The likeness of two products' words, which is no probability at all."""
    left, right = (
        {
            row["id"]: set(str(row["name"]).split())
            for row in pq.read_table(SHARED / "er" / f"abt_buy_{side}.parquet").to_pylist()
        }
        for side in ("left", "right")
    )
    pairs = pq.read_table(SHARED / "er" / "abt_buy_pairs.parquet").to_pylist()
    words = [(left[pair["left_id"]], right[pair["right_id"]]) for pair in pairs]
    like = np.array([len(a & b) / max(1, len(a | b)) for a, b in words])
    return binary("abt_buy pairs, words", like, np.array([pair["match"] == 1 for pair in pairs]))


def _student(name: str, texts: list[str], labels: list[Any]) -> World:
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.linear_model import LogisticRegression

    order = np.random.default_rng(0).permutation(len(texts))
    taught, rest = order[:TAUGHT], order[TAUGHT:]
    words = HashingVectorizer(n_features=2**14, ngram_range=(1, 2)).transform(texts)
    said = np.array(labels)
    model = LogisticRegression(C=10.0, max_iter=200).fit(words[taught], said[taught])
    chances = model.predict_proba(words[rest])
    if len(model.classes_) == 2:
        return binary(name, chances[:, 1], said[rest] == model.classes_[1])
    return World(name, chances.max(1), model.classes_[chances.argmax(1)] == said[rest])


def _line(sure: NDArray[np.float64]) -> NDArray[np.int64]:
    """Surest first; equals in an order that has nothing to do with their answers."""
    return np.lexsort((np.random.default_rng(1).permutation(len(sure)), -sure)).astype(np.int64)
