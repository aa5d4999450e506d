"""Quickselect with whole partitions in one batch: a handful of rounds, whatever the number of rows."""

from __future__ import annotations

from collections.abc import Sequence

from .court import Bound, Court
from .partition import FEW, MANY, Segment, Stage, overlapping
from .race import POOL, race
from .round_robin import by_wins, closest, round_pairs

_FINAL_ROUNDS = 2
_PARTING = 5
"""Questions a row with which another partition is worth it: it takes two of them, and the next, smaller ones as many again."""


def quickselect_bound(rows: int, wanted: int) -> Bound:
    """Three questions a row, or what ordering the wanted ones takes where these are many; a dozen rounds."""
    stages = max(0, min(wanted, rows) // FEW).bit_length()
    return Bound(max(3 * rows, rows + 40 * min(wanted, rows)), 12 + 2 * stages)


async def quickselect(court: Court, rows: Sequence[int], wanted: int) -> list[int]:
    """The best ``wanted`` rows.

    Segments that hold some of them are parted, all in the same rounds, until they are small; these are ordered by all
    pairs. A judge that contradicts itself makes segments that are worse, never more rounds than there are.
    """
    segments = [Segment(list(rows))]
    while _may_part(court, segments, wanted) and not _may_race(court, segments, wanted):
        segments = await _part(court, segments, wanted)
    if court.noisy or any(len(segment.rows) > POOL for segment, _ in _open(segments, wanted)):
        return await race(court, _pool(segments, wanted), wanted)
    return await _ordered(court, segments, wanted)


def _pool(segments: Sequence[Segment], wanted: int) -> list[int]:
    return [row for segment, _ in overlapping(segments, wanted) for row in segment.rows]


def _may_part(court: Court, segments: Sequence[Segment], wanted: int) -> bool:
    """Whether something is to be parted, and what is left is enough for it."""
    rows = sum(len(segment.rows) for segment, _ in _open(segments, wanted))
    return 0 < rows <= court.left.calls and court.left.rounds >= _FINAL_ROUNDS + 2


def _may_race(court: Court, segments: Sequence[Segment], wanted: int) -> bool:
    """Whether a judge that contradicts itself has left few rows, or too few questions to part them once more."""
    rows = len(_pool(segments, wanted))
    few = rows <= POOL or (rows <= MANY and court.left.calls < _PARTING * rows)
    return few and court.noisy


def _open(segments: Sequence[Segment], wanted: int) -> list[tuple[Segment, int]]:
    return [(s, missing) for s, missing in overlapping(segments, wanted) if not s.done and len(s.rows) > FEW]


async def _part(court: Court, segments: Sequence[Segment], wanted: int) -> list[Segment]:
    opened = _open(segments, wanted)
    await _seat(court, [segment for segment, _ in opened if len(segment.sample) < 2])
    stages = {id(s): Stage(s, missing, s.pivot(missing)) for s, missing in opened}
    await court.ask(pair for stage in stages.values() for pair in stage.first(court))
    await court.ask(pair for stage in stages.values() for pair in stage.second(court))
    return [part for s in segments for part in (stages[id(s)].parts(court) if id(s) in stages else [s])]


async def _seat(court: Court, segments: Sequence[Segment]) -> None:
    await court.ask([pair for segment in segments for pair in segment.draw(court)])
    await court.ask([pair for segment in segments for pair in segment.lead(court)])
    for segment in segments:
        court.look_for_upsets(by_wins(court, segment.leaders))
        segment.seat(court)


async def _ordered(court: Court, segments: Sequence[Segment], wanted: int) -> list[int]:
    """All pairs within what is left, then the other order where the judge may say otherwise, nearest rows first."""
    last = [segment for segment, _ in overlapping(segments, wanted)]
    open_ = [segment for segment in last if not segment.done]
    await court.ask(court.first_look(pair for segment in open_ for pair in round_pairs(segment.rows)))
    near = [pair for segment in open_ for pair in closest(by_wins(court, segment.rows))]
    await court.ask(court.second_look(near) if court.noisy else court.doubts(near))
    return [row for s in last for row in (s.rows if s.done else by_wins(court, s.rows))][:wanted]
