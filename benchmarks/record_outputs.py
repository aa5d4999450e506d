"""Records what the local models really answer: every row of two data sets, three questions each, with probabilities.

``python -m benchmarks.record_outputs --rows 1000`` asks through AnserDB and keeps all in a store under ``.bench``: a second run, or one
that goes on after it was stopped, asks nothing twice. Rows are asked in blocks by all models, so that a run which is stopped leaves
rows that every model has answered. :func:`recorded` reads what is there for replays (``benchmarks/cascade_router.py``).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow.parquet as pq

import anserdb
from anserdb.engine.dataflow.replies import decode
from anserdb.engine.store import Store
from anserdb.engine.types import VARCHAR
from anserdb.udfs.functions import functions
from anserdb.udfs.models import llamacpp
from anserdb.udfs.models.base import ModelSpec, Reply, Request, request_key
from anserdb.udfs.spec import DYNAMIC, Arguments

T = TypeVar("T")
FOLDER = Path(".bench")
DATABASE = FOLDER / "outputs.duckdb"
DATA = Path(os.environ.get("ANSER_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
MODELS = ("large", "small", "smollm2")
BLOCK = 20
SEED = 20_27


@dataclass(frozen=True, slots=True)
class Site:
    """A question. ``fixed`` : the argument that is the same for all rows: the condition, or the labels."""

    name: str
    function: str
    fixed: Any

    def sql(self, column: str, model: str) -> str:
        """The call."""
        inputs = f"'{self.fixed}', {column}" if self.function == "LLM_FILTER" else f"{column}, {list(self.fixed)}"
        return f"{self.function}({inputs}, model := '{model}')"

    def arguments(self, column: str) -> Arguments:
        """As the binder has them."""
        if self.function == "LLM_FILTER":
            return Arguments((self.fixed, DYNAMIC), (VARCHAR, VARCHAR), (f"'{self.fixed}'", column))
        return Arguments((DYNAMIC, list(self.fixed)), (VARCHAR, VARCHAR), (column, str(list(self.fixed))))


@dataclass(frozen=True, slots=True)
class DataSet:
    """Texts and what is asked about them."""

    name: str
    file: str
    column: str
    sites: tuple[Site, ...]

    def texts(self) -> list[str]:
        """All of them, each once, in an order drawn once."""
        found = list(dict.fromkeys(pq.read_table(DATA / self.file).column(self.column).to_pylist()))
        random.Random(SEED).shuffle(found)
        return found


SETS = (
    DataSet(
        "headlines",
        "cascade/headlines_gold_price_train.parquet",
        "headline",
        (
            Site("price", "LLM_FILTER", "the headline tells the price of gold"),
            Site("rises", "LLM_FILTER", "the headline says that gold rises"),
            Site("direction", "LLM_CLASSIFY", ("up", "down", "neutral")),
        ),
    ),
    DataSet(
        "reviews",
        "text/rt_polarity.parquet",
        "review",
        (
            Site("positive", "LLM_FILTER", "the review is positive"),
            Site("actors", "LLM_FILTER", "the review speaks of the actors"),
            Site("genre", "LLM_CLASSIFY", ("comedy", "drama", "thriller", "documentary")),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a model said of the rows: per row the answer, and the log-probability (over the prior) of each choice."""

    answers: tuple[Any, ...]
    scores: tuple[Mapping[Any, float], ...]


def record(sets: Sequence[DataSet], rows: int, models: Sequence[str], threads: int) -> None:
    """Ask about so many rows of each set."""
    FOLDER.mkdir(exist_ok=True)
    con = anserdb.connect(str(DATABASE))
    for model in models:
        con.sql(f"CREATE OR REPLACE MODEL {model} (provider 'llamacpp', path '{model}', threads {threads}, slots 1)")
    for data in sets:
        table = [(at, text) for at, text in enumerate(data.texts()[:rows])]
        con.sql(f"CREATE OR REPLACE TABLE {data.name} (row INTEGER, {data.column} VARCHAR)")
        con.execute(
            f"INSERT INTO {data.name} SELECT unnest(?), unnest(?)",
            [list(column) for column in zip(*table, strict=True)],
        )
    started = time.perf_counter()
    for begin in range(0, rows, BLOCK):
        for data in sets:
            for model in models:
                asked = ", ".join(f"{s.sql(data.column, model)} AS {s.name}" for s in data.sites)
                con.execute(
                    f"SELECT {asked} FROM {data.name} WHERE row >= {begin} AND row < {begin + BLOCK}"
                ).fetchall()
                print(f"{time.perf_counter() - started:6.0f} s: {data.name} {begin}+{BLOCK} by {model}", flush=True)
    con.close()


def recorded(data: DataSet, model: str, rows: int) -> dict[str, Recorded]:
    """What is in the store of the first rows of a set, by site; it ends before the first row that is not there."""
    return asyncio.run(_recorded(data, model, rows))


async def _recorded(data: DataSet, model: str, rows: int) -> dict[str, Recorded]:
    backend = llamacpp.create(ModelSpec(model, "llamacpp", {"path": model}))
    texts, found = data.texts()[:rows], {}
    with Store.open(DATABASE.with_name(DATABASE.name + ".anser")) as store:
        for site in data.sites:
            heard = _Heard(store, backend.identity)
            task: Any = functions()[site.function].lower(site.arguments(data.column), backend.capabilities)
            try:
                await task.prepare(heard)
            except MissingError:
                found[site.name] = Recorded((), ())
                continue
            found[site.name] = await _site(task, heard, texts)
    await backend.close()
    return found


async def _site(task: Any, heard: _Heard, texts: Sequence[str]) -> Recorded:
    answers, scores = list[Any](), list[Mapping[Any, float]]()
    for text in texts:
        try:
            answers.append(await task.run((text,), heard))
        except MissingError:
            break
        scores.append(_over_prior(task, heard.last))
    return Recorded(tuple(answers), tuple(scores))


def _over_prior(task: Any, said: Any) -> Mapping[Any, float]:
    if isinstance(said, float):
        return {True: said - (task.prior or 0.0), False: 0.0}
    return {label: score - (task.priors or {}).get(label, 0.0) for label, score in said.items()}


class MissingError(Exception):
    """It is not in the store."""


class _Heard:
    """An ``Ask`` that only looks into the store. ``last`` : what the last reply was read as."""

    def __init__(self, store: Store, identity: str) -> None:
        self._store, self._identity = store, identity
        self.last: Any = None

    async def __call__(self, request: Request, parse: Callable[[Reply], T]) -> T:
        key = request_key(self._identity, request)
        found = self._store.lookup([key])
        if key not in found:
            raise MissingError
        self.last = parse(decode(found[key]))
        return self.last


def main() -> None:
    """Record, and say how much there is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1000, help="of each set")
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sets", nargs="+", default=[data.name for data in SETS])
    options = parser.parse_args()
    sets = [data for data in SETS if data.name in options.sets]
    record(sets, options.rows, options.models, options.threads)
    for data in sets:
        for model in options.models:
            there = recorded(data, model, options.rows)
            print(
                f"{data.name} by {model}: {', '.join(f'{name} {len(each.answers)}' for name, each in there.items())} rows"
            )


if __name__ == "__main__":
    main()
