"""What students know outlives queries, connections and processes; what cannot be read is learnt anew."""

from __future__ import annotations

from pathlib import Path

from anserdb.engine.physical.online_students import ALIVE, Students, Task, students_of
from anserdb.engine.physical.operators.online_text import text_of
from anserdb.engine.plan.online import Online
from anserdb.engine.store import Store
from anserdb.engine.store.students import StoredStudents
from anserdb.engine.store.students import Students as Table
from anserdb.optimizer.cascades.online.examples import Example

TASK = Task("task", "LLM_FILTER", "m", "is good", Online(0.05))


def stored(task: str, at: float, body: bytes = b"") -> StoredStudents:
    return StoredStudents(task, "LLM_FILTER", "m", "is good", 1, body, at)


def teach(students: Students, first: int, rows: int = 200) -> None:
    batch = [Example(f"{n}", "good film" if n % 2 else "bad film") for n in range(first, first + rows)]
    decisions = students.cascade.decide(batch)
    students.learn(batch, decisions, {n: "good" in batch[n].text for n in range(rows) if decisions[n].asks})


def test_the_newest_students_stay_and_the_oldest_tasks_go() -> None:
    with Store.open(None) as store:
        table = Table(store, kept=2)
        for at, task in enumerate(["a", "b", "a", "c"]):
            table.put(stored(task, float(at), task.encode() * (at + 1))).result()
        assert [table.of(task) for task in "abc"] == [stored("a", 2.0, b"aaa"), None, stored("c", 3.0, b"cccc")]
        assert [table.stamp(task) for task in "abc"] == [(1, 2.0), (0, 0.0), (1, 3.0)]


def test_what_was_saved_is_known_to_the_next(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s.anser") as store:
        students = students_of(TASK, store)
        teach(students, 0)
        students.save(store).result()
        assert students_of(TASK, store) is students
        report = students.cascade.report()
    with Store.open(tmp_path / "s.anser") as store:
        again = students_of(TASK, store)
        assert again is not students
        assert repr(again.cascade.report()) == repr(report)  # not measured is not equal to itself
        assert again.met("7")
        assert not again.met("777")
        probe = [Example("new", "good film"), Example("new too", "bad film")]
        assert again.cascade.decide(probe) == students.cascade.decide(probe)


def test_students_that_another_process_has_saved_since_are_taken(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s.anser") as mine, Store.open(tmp_path / "s.anser") as theirs:
        old = students_of(TASK, mine)
        other = students_of(TASK, theirs)
        teach(other, 0)
        other.save(theirs).result()
        taken = students_of(TASK, mine)
        assert taken is not old
        assert taken.met("7")


def test_what_cannot_be_read_is_learnt_anew() -> None:
    for body in (b"", b"\x01", bytes(8) + b"no state", (5).to_bytes(8, "little")):
        students = Students(TASK, stored("task", 1.0, body))
        assert students.cascade.report().rows == 0
        assert not students.met("7")


def test_memory_holds_a_few_tasks() -> None:
    with Store.open(None) as store:
        first = students_of(TASK, store)
        for n in range(ALIVE):
            students_of(Task(f"other {n}", "LLM_FILTER", "m", "", Online(0.05)), store)
        assert students_of(TASK, store) is not first


def test_pairs_tell_what_both_texts_have() -> None:
    same, other = text_of(["the red lamp", "a red lamp"]), text_of(["the red lamp", "a blue chair"])
    assert "both_lamp both_red share_5" in same
    assert "both_" not in other
    assert text_of([["a"], "b"]) == '["a"]\nb\nshare_0'
