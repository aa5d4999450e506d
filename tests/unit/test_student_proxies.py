"""Students and likenesses as proxies: rounds of curiosity, rows that nobody can see, and an event loop that goes on."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from scipy import sparse

from anserdb.engine.errors import DataError, ModelError
from anserdb.engine.physical.cascading import students
from anserdb.engine.physical.cascading.embedding import embedding_proxy
from anserdb.engine.physical.cascading.students import (
    FIRST,
    MOST,
    CuriousStudent,
    Eye,
    Seen,
    StudentProxy,
    student_proxy,
)
from anserdb.engine.physical.cascading.subject import FILTER, Subject
from anserdb.engine.physical.cascading.vectors import Embedder
from anserdb.optimizer.cascades.students import Features
from anserdb.udfs.models.base import Embed, Reply

SUBJECT = Subject(FILTER, "it is good", ("it is good",), (), 1)


class Numbers:
    """Sees a row as the number that it is."""

    async def see(self, rows):
        values = np.array([[float(row[0]), float(row[0]) ** 2] for row in rows])
        return Seen(Features(sparse.csr_matrix((len(rows), 0)), (values,)), np.ones(len(rows), dtype=bool))


def _embedder(vector, seen=None):
    """``vector`` : of a text, or what the model raises."""

    async def ask(request, parse):
        assert isinstance(request, Embed)
        if seen is not None:
            seen.append(request.text)
        found = vector(request.text)
        if isinstance(found, Exception):
            raise found
        return parse(Reply(vector=found))

    return Embedder(ask, 8, "vectors")


async def test_a_curious_student_asks_for_what_it_is_least_sure_of_and_ends():
    rng = np.random.default_rng(0)
    rows = [(x,) for x in rng.normal(size=6000)]
    known = rows[:FIRST]
    proxy = CuriousStudent(Numbers())
    sizes = []
    for _ in range(10):
        await proxy.train(known, [row[0] > 0.5 for row in known])
        learnt = set(known)
        others = [row for row in rows if row not in learnt]
        wanted = await proxy.curious(others)
        if not wanted:
            break
        assert len(set(wanted)) == len(wanted)
        sizes.append(len(wanted))
        known = known + [others[at] for at in wanted]
    assert len(known) == 600  # a tenth of all rows
    assert len(sizes) == students.ROUNDS
    asked = np.array([row[0] for row in known[FIRST:]])
    assert np.median(np.abs(asked - 0.5)) < 0.2 < np.median(np.abs(np.array(rows) - 0.5))


async def test_curiosity_is_bounded():
    proxy = CuriousStudent(Numbers())
    rows = [(float(n),) for n in range(FIRST)]
    await proxy.train(rows, [n % 2 == 0 for n in range(FIRST)])
    assert await proxy.curious([(float(n),) for n in range(1000)]) == ()  # it knows more than a tenth
    proxy = CuriousStudent(Numbers())
    await proxy.train(rows, [n % 2 == 0 for n in range(FIRST)])
    first = await proxy.curious([(float(n),) for n in range(30_000)])
    assert len(first) == (MOST - FIRST) // students.ROUNDS


async def test_rows_without_a_vector_are_left_to_the_reference():
    def vector(text):
        return ModelError("no vector") if text == "blind" else (1.0, 0.0) if "good" in text else (0.0, 1.0)

    proxy = embedding_proxy(SUBJECT, _embedder(vector))
    rows = [(f"good {n}",) if n % 2 else (f"bad {n}",) for n in range(40)]
    await proxy.train([*rows, ("blind",)], [bool(n % 2) for n in range(41)])
    said = await proxy.answer([("good x",), ("blind",), ("bad x",)])
    assert [None if one is None else one.answer for one in said] == [True, None, False]
    assert said[0].confidence > 0 > said[2].confidence


@pytest.mark.parametrize("failure", [ModelError("down"), DataError("no text")])
async def test_where_nobody_sees_anything_it_says_so_when_it_is_to_answer(failure):
    proxy = student_proxy(SUBJECT, _embedder(lambda _: failure))
    await proxy.train([("a",), ("b",)], [True, False])
    assert await proxy.curious([("c",)]) == ()
    with pytest.raises(type(failure), match=str(failure)):
        await proxy.answer([("c",)])


async def test_an_embedding_model_that_dies_after_the_first_lesson_ends_curiosity_and_not_the_query():
    dead = []
    proxy = student_proxy(SUBJECT, _embedder(lambda text: ModelError("down") if dead else (float(len(text) % 7), 1.0)))
    await proxy.train([(f"{'x' * n}",) for n in range(40)], [n % 7 > 3 for n in range(40)])
    dead.append(True)
    assert await proxy.curious([(f"{n} more",) for n in range(800)]) == ()
    with pytest.raises(ModelError, match="down"):
        await proxy.answer([("new",)])


async def test_what_rows_are_compared_with_has_to_be_there():
    """One likeness less would be another feature in its place."""
    labels = Subject("LLM_CLASSIFY", "a, b", ("a", "b"), ("a", "b"), 1)
    proxy = embedding_proxy(labels, _embedder(lambda text: ModelError("no") if text == "b" else (1.0, 0.0)))
    await proxy.train([("x",), ("y",)], ["a", "b"])
    with pytest.raises(DataError, match="cannot be embedded in full"):
        await proxy.answer([("z",)])


async def test_texts_are_embedded_once():
    seen = []
    proxy = student_proxy(SUBJECT, _embedder(lambda text: (float(len(text)), 1.0), seen))
    rows = [("x" * n,) for n in range(1, 30)]
    await proxy.train(rows, [len(row[0]) > 15 for row in rows])
    await proxy.answer(rows)
    assert sorted(seen) == sorted({row[0] for row in rows} | {"it is good"})


async def test_no_answers_teach_nothing():
    proxy = StudentProxy(Eye(SUBJECT, None, words=True))
    with pytest.raises(ValueError, match="needs answers"):
        await proxy.train([], [])


async def test_the_event_loop_goes_on_while_a_student_learns(monkeypatch):
    """Learning takes place elsewhere: it cannot end before the loop has turned."""
    turned = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(features, answers):
        asyncio.run_coroutine_threadsafe(_set(turned), loop).result(20)
        return students_fit(features, answers)

    students_fit = students.fit
    monkeypatch.setattr(students, "fit", slow)
    await StudentProxy(Numbers()).train([(0.0,), (1.0,)], [False, True])
    assert turned.is_set()


async def _set(event):
    event.set()
