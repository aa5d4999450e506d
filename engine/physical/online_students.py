"""Students of a call's task: one object for all queries of a process, kept in the store for the next process.

Everything here blocks, and belongs in :func:`in_thread`: one thread for all students, so that no two of its functions meet.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np

from ...optimizer.cascades.online.cascade import OnlineCascade
from ...optimizer.cascades.online.examples import Aim, Decision, Example, LevelName
from ...udfs.models.base import ModelSpec
from ..dataflow.worker import Worker
from ..plan.nodes import SemanticCall
from ..plan.online import Online
from ..store import Store
from ..store.students import StoredStudents
from .task_keys import about, digest, task_key

T = TypeVar("T")
Key = str | bytes

ALIVE = 4
"""Tasks of a store whose students stay in memory: they may weigh some megabytes each."""
REMEMBERED = 200_000
"""Inputs of which students know that they have met them."""
SAVED_EVERY = 2_000
"""Answers learnt, after which a long run saves its students."""

_worker = Worker("anserdb-students")


def in_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    """Do something with students, in their thread."""
    return _worker.run(work)


@dataclass(frozen=True, slots=True)
class Task:
    """What students learn.

    Parameters
    ----------
    key : digest of what is asked, who answers, and which students there are. function, model, about : for people.
    online : of the call.
    """

    key: str
    function: str
    model: str
    about: str
    online: Online

    @classmethod
    def of(cls, call: SemanticCall, online: Online, spec: ModelSpec) -> Task:
        """The task of a call."""
        key = digest(task_key(call, spec), online.labels, online.small, online.embedding)
        return cls(key, call.function, spec.name, about(call), online)

    @property
    def classes(self) -> Sequence[Hashable]:
        """All answers there are."""
        return self.online.labels or (True, False)

    @property
    def levels(self) -> Sequence[LevelName]:
        """Who answers before the reference."""
        wanted: dict[LevelName, bool] = {
            "hashed": True,
            "embedded": bool(self.online.embedding),
            "model": bool(self.online.small),
        }
        return [name for name, there in wanted.items() if there]


class Students:
    """What a task's students know, and which inputs they have met.

    An input that comes again proves nothing of them: they may have learnt it by heart, and whether it is audited was drawn when it
    first came. So it teaches nothing, and is not counted.

    Parameters
    ----------
    task : what they learn. kept : what is in the store of them; ``None``: nothing.

    Attributes
    ----------
    cascade : who decides. unsaved : answers learnt since they were saved, which was at ``saved_at`` (Unix time).
    """

    def __init__(self, task: Task, kept: StoredStudents | None) -> None:
        self._task = task
        self._met: dict[int, None] = {}
        self.unsaved = 0
        self.saved_at = 0.0
        self.cascade = self._cascade(None)
        self._restore(kept)

    def met(self, key: Key) -> bool:
        """Whether this input came before."""
        return _short(key) in self._met

    def learn(self, batch: Sequence[Example], decisions: Sequence[Decision], said: Mapping[int, Hashable]) -> None:
        """See ``OnlineCascade.learn``."""
        self.cascade.learn(batch, decisions, said)
        self._met.update((_short(example.key), None) for example in batch)
        for old in list(islice(self._met, max(0, len(self._met) - REMEMBERED))):
            del self._met[old]
        self.unsaved += len(said)

    def save(self, store: Store) -> Future[None]:
        """Keep them; the future resolves once they are durable."""
        self.unsaved, self.saved_at = 0, time.time()
        task, met = self._task, np.fromiter(self._met, np.uint64, len(self._met))
        body = len(met).to_bytes(8, "little") + met.tobytes() + self.cascade.dump()
        stored = StoredStudents(task.key, task.function, task.model, task.about, len(met), body, self.saved_at)
        return store.students.put(stored)

    def _cascade(self, state: bytes | None) -> OnlineCascade:
        aim = Aim(self._task.online.target)
        return OnlineCascade(self._task.classes, aim, levels=self._task.levels, state=state)

    def _restore(self, kept: StoredStudents | None) -> None:
        """Go on from what is kept; what cannot be read (another version's) is learnt anew."""
        if kept is None:
            return
        end = 8 + 8 * int.from_bytes(kept.body[:8], "little")
        with suppress(ValueError, KeyError):
            self.cascade = self._cascade(kept.body[end:])
            self._met = dict.fromkeys(np.frombuffer(kept.body[8:end], np.uint64).tolist())
            self.saved_at = kept.updated_at


_alive: weakref.WeakKeyDictionary[Store, OrderedDict[Task, Students]] = weakref.WeakKeyDictionary()


def students_of(task: Task, store: Store) -> Students:
    """The students of a task: those at work in this process, unless another one has saved newer ones since."""
    alive = _alive.setdefault(store, OrderedDict())
    students = alive.pop(task, None)
    if students is None or store.students.stamp(task.key)[1] > students.saved_at:
        students = Students(task, store.students.of(task.key))
    alive[task] = students
    while len(alive) > ALIVE:
        alive.popitem(last=False)
    return students


def _short(key: Key) -> int:
    own = key if isinstance(key, bytes) else key.encode(errors="surrogatepass")
    return int.from_bytes(hashlib.blake2b(own, digest_size=8).digest(), "little")
