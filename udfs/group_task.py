"""The task of an aggregate that folds its group: what ``LLM_SUMMARIZE`` and ``LLM_AGG`` share, and only their words differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .models.base import Generate
from .prompts.folding import CHUNK_CHARACTERS, Fold
from .spec import Ask, Unprepared


@dataclass(frozen=True, slots=True)
class GroupTask(Unprepared):
    """Answers for a group: in one call where its texts fit, otherwise chunk by chunk, and then over what came of these."""

    fold: Fold

    async def run(self, row: Sequence[Any], ask: Ask) -> Any:
        """The answer about ``row[0]``, a list of values; ``None`` for an empty one."""
        return await self.fold.run(row[0], ask)

    def requests(self, row: Sequence[Any]) -> Sequence[Generate]:
        """One request per chunk."""
        return self.fold.requests(row[0])

    def notes(self) -> Mapping[str, str]:
        """The chunk size."""
        return {"chunk": f"{CHUNK_CHARACTERS:,} characters"}
