"""How many rows of the source are open at once, and how they are handed on: no result depends on it, but what it costs does."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from anserdb.engine.physical.nested.ancestry import Ancestry, Level, Path
from anserdb.engine.physical.nested.gather import Gather
from anserdb.engine.physical.nested.roots import KNOWN_ROWS, MOST_BYTES, MOST_TIMES, Room

EMPTY = Level(1)


class Calls:
    """A number of calls made, which the test sets."""

    made = 0

    def __call__(self) -> int:
        return self.made


def test_more_rows_are_open_once_their_answers_are_known_and_no_more_than_that() -> None:
    room, closed, sizes = Room(10, calls=lambda: 0), 0, []
    for _ in range(6):
        sizes.append(room.left(EMPTY))
        closed += sizes[-1]
        room.turn(closed, 1)
    assert sizes[:4] == [10, 20, 40, 80] == [10, 20, 40, 10 * MOST_TIMES]
    assert set(sizes[4:]) == {10 * MOST_TIMES}


def test_rows_that_take_calls_get_the_least_room() -> None:
    calls = Calls()
    room = Room(16, calls=calls)
    room.turn(16, 1)
    assert room.left(EMPTY) == 32
    calls.made = 32 // KNOWN_ROWS + 1
    room.turn(16 + 32, 1)
    assert room.left(EMPTY) == 16


def test_nothing_changes_before_so_many_rows_are_done() -> None:
    room = Room(10, calls=lambda: 0)
    room.turn(9, 1)
    assert room.left(EMPTY) == 10


def test_wide_rows_and_a_limit_get_no_more_room() -> None:
    for room, row_bytes in (
        (Room(10, calls=lambda: 0), MOST_BYTES),
        (Room(10, lambda: 3, lambda: 0), 1),
        (Room(10), 1),
    ):
        before = room.left(EMPTY)
        room.turn(1000, row_bytes)
        assert room.left(EMPTY) == before


def rows(paths: Sequence[Path]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({f"__p{at}": [path[at] for path in paths] for at in range(2)})


def test_rows_of_many_groups_that_close_together_are_taken_together() -> None:
    level = Level(1)
    ancestry, paths = Ancestry((level,)), [(root, part) for root in range(50) for part in range(3)]
    ancestry.came(paths)
    gather = Gather(ancestry)
    gather.arrived(rows(paths[:100]))
    first = gather.closed()
    assert first is not None
    assert (len(first.prefixes), [b.num_rows for b in first.batches]) == (33, [99])
    gather.arrived(rows(paths[100:]))
    second = gather.closed()
    assert second is not None
    assert (len(second.prefixes), [b.num_rows for b in second.batches]) == (17, [1, 50])
    assert not level.open


def test_only_what_is_void_is_left_out() -> None:
    level, outer = Level(2), Level(1)
    ancestry = Ancestry((level, outer))
    paths: list[Path] = [(0, 0), (0, 1), (1, 0)]
    ancestry.came(paths)
    ancestry.void([(0, 1)])
    gather = Gather(ancestry)
    gather.arrived(rows(paths))
    closed = gather.closed()
    assert closed is not None
    (batch,) = closed.batches
    assert batch.to_pylist() == [{"__p0": 0, "__p1": 0}, {"__p0": 1, "__p1": 0}]
    assert outer.open == 2  # the void row is gone from it, its neighbours are there
