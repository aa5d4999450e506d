"""A thousand random trees through the nested operators, in any order of events: what a loop over the whole tree gives.

A row of the source carries its subtree as JSON. A stand-in for a model hands rows on one by one in random order, lists early and
in parts, takes some of what it said back, and fails at some; filters drop some. Groups come together at one or two levels.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from random import Random
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from anserdb.engine.physical.nested.ancestry import Ancestry, Level, path_names
from anserdb.engine.physical.nested.expand import run_expand
from anserdb.engine.physical.nested.hearing import heard_schema
from anserdb.engine.physical.nested.regroup import Regroup, grouped, run_regroup
from anserdb.engine.physical.nested.release import Release, run_release
from anserdb.engine.physical.nested.roots import Room, run_roots
from anserdb.engine.physical.operators.selection import Selection, run_selection
from anserdb.engine.plan.nodes import Column, Grouping, Source, Unnest

TREES_A_RUN = 16
RUNS = 8
"""For each of four depths, with one grouping and with two: 1,024 trees."""
KEPT = "kept"
Tree = dict[str, Any]
"""``name``, whether a filter keeps it, whether its list fails, its parts, and what a first attempt said instead."""

ELEMENT = pa.struct([("spec", pa.string()), ("kept", pa.bool_())])


def tree(random: Random, depth: int, name: str) -> Tree:
    count = random.choice((0, 0, 1, 2, 3, 5, 8)) if depth else 0
    parts = [tree(random, depth - 1, f"{name}.{i}") for i in range(count)]
    wrong = [tree(random, depth - 1, f"{name}.wrong{i}") for i in range(random.randrange(1, 4))] if depth else []
    said = parts[: random.randrange(0, count + 1)] + (wrong if random.random() < 0.2 else [])
    return {
        "name": name,
        "kept": random.random() < 0.8,
        "fails": random.random() < 0.1,
        "parts": parts,
        "said": said if random.random() < 0.7 else [],
    }


def leaves(node: Tree, depth: int) -> Iterator[str]:
    """Names of what is left at the bottom, in order."""
    if not depth:
        yield node["name"]
        return
    for part in [] if node["fails"] else node["parts"]:
        if part["kept"]:
            yield from leaves(part, depth - 1)


def inner_groups(node: Tree, depth: int) -> Iterator[list[str]]:
    """Leaves per part of the first level."""
    for part in [] if node["fails"] else node["parts"]:
        if part["kept"] and (found := list(leaves(part, depth - 1))):
            yield found


async def source(trees: list[Tree], random: Random) -> AsyncIterator[pa.RecordBatch]:
    rows = [{"root": t["name"], "spec": json.dumps(t), "kept": True} for t in trees]
    schema = pa.schema([("root", pa.string()), ("spec", pa.string()), ("kept", pa.bool_())])
    while rows:
        size = random.randrange(1, 6)
        yield pa.RecordBatch.from_pylist(rows[:size], schema=schema)
        rows = rows[size:]
        await asyncio.sleep(0)


def elements(parts: list[Tree]) -> list[dict[str, Any]]:
    return [{"spec": json.dumps(p), "kept": p["kept"]} for p in parts]


async def answering(batches: AsyncIterator[pa.RecordBatch], random: Random) -> AsyncIterator[pa.RecordBatch]:
    """The stand-in: a column ``parts`` of what each ``spec`` holds, first what was said of it, at last the whole."""
    held: list[tuple[dict[str, Any], pa.Schema, int]] = []
    news = asyncio.Event()

    async def feed() -> None:
        async for batch in batches:
            held.extend((row, batch.schema, 0) for row in batch.to_pylist())
            news.set()

    feeder = asyncio.create_task(feed())
    feeder.add_done_callback(lambda _: news.set())
    while held or not feeder.done():
        if held and random.random() < 0.8:
            yield leave(held, random)
        await asyncio.sleep(0)
        if not held and not feeder.done():
            news.clear()
            await news.wait()
    await feeder


def leave(held: list[tuple[dict[str, Any], pa.Schema, int]], random: Random) -> pa.RecordBatch:
    row, schema, left = held.pop(random.randrange(len(held)))
    node = json.loads(row["spec"])
    said, whole = node["said"], [] if node["fails"] else node["parts"]
    if left < len(said) and random.random() < 0.8:
        more = random.randrange(left + 1, len(said) + 1)
        held.append((row, schema, more))
        return answered(row, schema, elements(said[left:more]), left, 0, last=False)
    agreed = next(
        (i for i, (a, b) in enumerate(zip(said[:left], whole, strict=False)) if a != b), min(left, len(whole))
    )
    agreed = 0 if node["fails"] else agreed
    value = None if node["fails"] else elements(whole)
    return answered(row, schema, value, agreed, left - agreed, last=True)


def answered(
    row: dict[str, Any], schema: pa.Schema, value: list[dict[str, Any]] | None, start: int, void: int, *, last: bool
) -> pa.RecordBatch:
    whole = heard_schema(schema.append(pa.field("parts", pa.list_(ELEMENT))))
    marks = {"parts": value, "__from": start, "__void": void, "__last": last}
    return pa.RecordBatch.from_pylist([row | marks], schema=whole)


def expanding(batches: AsyncIterator[pa.RecordBatch], ancestry: Ancestry, depth: int) -> AsyncIterator[pa.RecordBatch]:
    """A level: lists become rows, whose ``spec`` and ``kept`` take the place of the parent's, and a filter drops some."""
    outputs = (Column(f"spec{depth}", "VARCHAR", ""), Column(f"kept{depth}", "BOOLEAN", ""))
    return run_expand(batches, Unnest(Source("", "", ()), "parts", outputs), ancestry)


async def renamed(batches: AsyncIterator[pa.RecordBatch], depth: int) -> AsyncIterator[pa.RecordBatch]:
    async for batch in batches:
        path = path_names(batch.schema)
        names = ["root", f"spec{depth}", f"kept{depth}", *path]
        yield pa.RecordBatch.from_arrays([batch.column(n) for n in names], names=["root", "spec", KEPT, *path])


async def filtered(batches: AsyncIterator[pa.RecordBatch], ancestry: Ancestry) -> AsyncIterator[pa.RecordBatch]:
    async for batch in batches:
        chosen = Selection((KEPT,), tuple(batch.schema.names), batch.schema)

        async def one(rows: pa.RecordBatch = batch) -> AsyncIterator[pa.RecordBatch]:
            yield rows

        async for kept in run_selection(one(), chosen, ancestry.kept):
            yield kept


def regroup(
    connection: duckdb.DuckDBPyConnection, keys: tuple[str, ...], item: str, schema: pa.Schema, width: int
) -> Regroup:
    """``SELECT root, list(item) GROUP BY keys``."""
    grouping = Grouping("rows", ("root", f"list({item})"), keys)
    path = tuple(path_names(schema))
    return Regroup(
        connection, lambda length: grouped(grouping, ("root", "names"), "__batch", path[:length], path), schema, width
    )


def room(random: Random) -> Room:
    """Few rows at once or all, and more of them in a while, or sometimes, or never."""
    made = random.choice((0, 1, 2**40))
    return Room(random.choice((1, 3, 100)), calls=lambda: random.randint(0, made))


NAMES = "json_extract_string(spec, '$.name')"


async def streamed(trees: list[Tree], depth: int, random: Random, *, twice: bool) -> list[tuple[str, Any]]:
    outer, void_of = Level(1), Ancestry(())
    above = void_of.under(outer)
    ancestry = above.under(Level(2)) if twice else above
    rows: AsyncIterator[pa.RecordBatch] = run_roots(source(trees, random), ancestry, room(random))
    for level in range(depth):
        rows = filtered(renamed(expanding(answering(rows, random), ancestry, level), level), ancestry)
    fields = [("root", pa.string()), ("spec", pa.string()), (KEPT, pa.bool_())]
    schema = pa.schema([*fields, *((f"__p{i}", pa.int64()) for i in range(depth + 1))])
    instance = duckdb.connect()
    if twice:
        inner = regroup(instance.cursor(), ("root", "__p1"), NAMES, schema, 3)
        rows = run_regroup(rows, inner, ancestry)
        schema = pa.schema([*inner.out, *((f"__p{i}", pa.int64()) for i in range(3))])
        last = regroup(instance.cursor(), ("root",), "names", schema, 2)
    else:
        last = regroup(instance.cursor(), ("root",), NAMES, schema, 2)
    found = [row async for batch in run_regroup(rows, last, above) for row in batch.to_pylist()]
    assert not outer.open  # nothing is left behind
    return sorted((row["root"], row["names"]) for row in found)


async def released(trees: list[Tree], depth: int, random: Random) -> list[str]:
    """Nobody groups: rows come in the order of the source and of its lists."""
    release = Release()
    rows: AsyncIterator[pa.RecordBatch] = run_roots(source(trees, random), release.ancestry, room(random))
    for level in range(depth):
        rows = filtered(renamed(expanding(answering(rows, random), release.ancestry, level), level), release.ancestry)
    schema = pa.schema([("root", pa.string()), ("spec", pa.string()), (KEPT, pa.bool_())])
    specs = [row["spec"] async for batch in run_release(rows, release, schema) for row in batch.to_pylist()]
    return [json.loads(spec)["name"] for spec in specs]


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
async def test_rows_that_nobody_groups_keep_their_order(depth: int) -> None:
    for run in range(RUNS):
        random = Random(f"{depth} {run}")
        trees = [tree(random, depth, f"t{i:02}") for i in range(TREES_A_RUN)]
        expected = [name for t in trees for name in leaves(t, depth)]
        assert await asyncio.wait_for(released(trees, depth, random), 60) == expected


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("twice", [False, True])
async def test_random_trees_come_together_as_in_a_loop(depth: int, twice: bool) -> None:
    for run in range(RUNS):
        random = Random(f"{depth} {twice} {run}")
        trees = [tree(random, depth, f"t{i:02}") for i in range(TREES_A_RUN)]
        if twice:
            expected = [(t["name"], groups) for t in trees if (groups := list(inner_groups(t, depth)))]
        else:
            expected = [(t["name"], names) for t in trees if (names := list(leaves(t, depth)))]
        assert await asyncio.wait_for(streamed(trees, depth, random, twice=twice), 60) == expected
