"""What a query will do, as a graph of stages: immutable, validated, and the same after a trip through JSON.

A REL stage is a DuckDB fragment, a MODEL stage the calls of one call site. TENSOR, XFER, LOAD and EVICT are what later
passes (placement, memory, tensors) put between them. Nothing in here runs.
"""

from __future__ import annotations

import json
import math
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal

from ..errors import ProgrammingError

StageClass = Literal["interactive", "batch"]
CLASSES: tuple[StageClass, ...] = ("interactive", "batch")
"""In the order in which they are served."""


class Kind(StrEnum):
    """What a stage is."""

    REL = "REL"
    MODEL = "MODEL"
    TENSOR = "TENSOR"
    XFER = "XFER"
    LOAD = "LOAD"
    EVICT = "EVICT"


@dataclass(frozen=True, slots=True)
class Work:
    """How much there is to do.

    Parameters
    ----------
    kind : what a device charges for, by its own name for it: the model asked, ``rows``, ``bytes``.
    units : how many; ``None``: nobody knows.
    tokens : whole tokens that the stage takes from a device's rate. memory : bytes that it holds there while it runs.
    """

    kind: str = ""
    units: float | None = None
    tokens: int = 0
    memory: int = 0


@dataclass(frozen=True, slots=True)
class Stage:
    """A unit of dispatching.

    Parameters
    ----------
    id : unique in its graph. label : for people.
    devices : names of those that may run it, the preferred first.
    splittable : it may be cut into stages of fewer units.
    stage_class : interactive stages go before batch ones. priority : higher goes first within a class.
    preserves_order : its rows leave in the order in which they came.
    """

    id: str
    kind: Kind
    label: str = ""
    work: Work = field(default_factory=Work)
    devices: tuple[str, ...] = ()
    splittable: bool = False
    stage_class: StageClass = "interactive"
    priority: int = 0
    preserves_order: bool = True


@dataclass(frozen=True, slots=True)
class Edge:
    """``dst`` starts after ``src``, and reads ``bytes`` of it (``None``: nobody knows)."""

    src: str
    dst: str
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class StageGraph:
    """Stages and what must precede what.

    Raises
    ------
    ProgrammingError : two stages share an id, an edge names no stage, there is a cycle, or a figure makes no sense.

    >>> graph = StageGraph((Stage("a", Kind.REL), Stage("b", Kind.MODEL)), (Edge("a", "b"),))
    >>> graph.depths()
    {'a': 0, 'b': 1}
    >>> StageGraph.from_json(graph.to_json()) == graph
    True
    """

    stages: tuple[Stage, ...]
    edges: tuple[Edge, ...] = ()

    def __post_init__(self) -> None:
        _check_stages(self.stages)
        known = {stage.id for stage in self.stages}
        for edge in self.edges:
            if missing := {edge.src, edge.dst} - known:
                raise ProgrammingError(f"Edge {edge.src} → {edge.dst}: there is no stage {', '.join(sorted(missing))}.")
            if edge.bytes is not None and edge.bytes < 0:
                raise ProgrammingError(f"Edge {edge.src} → {edge.dst} has {edge.bytes} bytes.")
        self.depths()

    def successors(self) -> dict[str, tuple[str, ...]]:
        """Per stage, those that wait for it, each once."""
        found: dict[str, dict[str, None]] = {stage.id: {} for stage in self.stages}
        for edge in self.edges:
            found[edge.src][edge.dst] = None
        return {stage: tuple(after) for stage, after in found.items()}

    def depths(self) -> dict[str, int]:
        """Per stage, the most stages that come one after the other before it (Kahn, 1962)."""
        after = self.successors()
        missing = Counter(dst for later in after.values() for dst in later)
        ready = deque(stage.id for stage in self.stages if not missing[stage.id])
        found = dict.fromkeys(ready, 0)
        order = []
        while ready:
            stage = ready.popleft()
            order.append(stage)
            for dst in after[stage]:
                found[dst] = max(found.get(dst, 0), found[stage] + 1)
                missing[dst] -= 1
                if not missing[dst]:
                    ready.append(dst)
        if len(order) < len(self.stages):
            stuck = sorted({stage.id for stage in self.stages} - set(order))
            raise ProgrammingError(f"Stages wait for each other in a circle, or for one: {', '.join(stuck)}.")
        return {stage.id: found[stage.id] for stage in self.stages}

    def to_json(self) -> str:
        """As JSON text."""
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> StageGraph:
        """From :meth:`to_json`, checked again."""
        document = json.loads(text)
        return cls(tuple(map(_stage, document["stages"])), tuple(Edge(**edge) for edge in document["edges"]))


def _stage(document: Mapping[str, Any]) -> Stage:
    changes = {"kind": Kind(document["kind"]), "work": Work(**document["work"]), "devices": tuple(document["devices"])}
    return Stage(**{**document, **changes})


def _check_stages(stages: Iterable[Stage]) -> None:
    counts = Counter(stage.id for stage in stages)
    if twice := sorted(stage for stage, count in counts.items() if count > 1):
        raise ProgrammingError(f"Two stages have the id {', '.join(twice)}.")
    for stage in stages:
        work = stage.work
        figures = [work.tokens, work.memory] + ([] if work.units is None else [work.units])
        if not all(math.isfinite(figure) and figure >= 0 for figure in figures):
            raise ProgrammingError(f"Stage {stage.id} has work that makes no sense: {work}.")
        if stage.stage_class not in CLASSES:
            raise ProgrammingError(
                f"Stage {stage.id} is of class {stage.stage_class!r}; there are {' and '.join(CLASSES)}."
            )
