"""Semantic joins through SQL, beside the nested loop: real operators and prompts over HTTP, a SIMULATED server, a RULE-MADE judge.

The judge says of a pair alone what the labels of the data say. In a block of n pairs it overlooks a match with the chance that
stands at its name, for each 100 of them. The nested loop asks each distinct pair once: its calls are counted and its tokens
added up from the very prompts (4 characters a token), its recall is the judge's; it is not run.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import anserdb
from anserdb.udfs.prompts.inputs import fields

from .join_judge import judged
from .join_world import CHARACTERS_A_TOKEN, HEAD_CHARACTERS, World
from .server import LoopbackServer, Profile
from .server.asked import user_text

CONTEXT = 8_000
QUERY = "SELECT l.id, r.id FROM l JOIN r ON LLM_FILTER('Are a and b the same thing?', l.a, r.b)"
PROVED = re.compile(r"all in ([\d,]+) blocks.*recall ≥ ([\d.]+)%")


@dataclass(frozen=True, slots=True)
class Overlooks:
    """What a judge overlooks in company.

    Parameters
    ----------
    share : of matches, for each 100 pairs of a block. same : the part of that which depends on the pair alone, so that other
        blocks do not help. unlike : how many times as often for matches that are not among the likeliest pairs: then
        what the proof takes for granted is not so.
    """

    share: float
    same: float = 0.0
    unlike: float = 1.0


MAIN = "overlooks 1 %"
JUDGES: Mapping[str, Overlooks] = {
    MAIN: Overlooks(0.01),
    "overlooks 5 %, half of it in any block": Overlooks(0.05, same=0.5),
    "overlooks 2 %, of unlike pairs 4 % (the proof takes it that this is not so)": Overlooks(0.02, unlike=2.0),
}
"""Those after the first have fewer seeds: what they show is how it fails."""


@dataclass(frozen=True, slots=True)
class Joined:
    """What a query asked and found: blocks and what was proved are as EXPLAIN ANALYZE says it (0 and 1: all pairs were asked)."""

    calls: int
    tokens: float
    pairs: frozenset[tuple[int, int]]
    blocks: int
    proved: float


class Judge:
    """The server's answers about one world, and the tokens they took."""

    def __init__(self, one: World, overlooks: Overlooks) -> None:
        lefts, rights = (
            [fields((name,), (text,)) for text in side] for name, side in (("a", one.lefts), ("b", one.rights))
        )
        self._same = {(lefts[left], rights[right]) for left, right in one.said}
        likely = sorted(range(len(one.scores)), key=lambda pair: -one.scores[pair])[: 2 * max(len(lefts), len(rights))]
        self._likely = {(lefts[pair // len(rights)], rights[pair % len(rights)]) for pair in likely}
        self._overlooks = overlooks
        self.characters = 0

    def answer(self, body: dict[str, Any]) -> str:
        """To a request about a pair or a block."""
        user = user_text(body)
        said = judged(user, lambda left, right, pairs: self._says(user, left, right, pairs))
        self.characters += len(said) + sum(len(message["content"]) for message in body["messages"])
        return said

    def _says(self, user: str, left: str, right: str, pairs: int) -> bool:
        if (left, right) not in self._same:
            return False
        rule, times = self._overlooks, 1.0 if (left, right) in self._likely else self._overlooks.unlike
        loses = min(1.0, rule.share * pairs / 100 * times) if pairs > 1 else 0.0
        always = Random(f"{left}{right}").random() < rule.same
        return Random(f"{left}{right}" if always else f"{left}{right}{user}").uniform(0, 1) >= loses


def make_tables(con: anserdb.Connection, lefts: Sequence[str], rights: Sequence[str]) -> None:
    """The two sides of the query's join."""
    for table, column, texts in (("l", "a", lefts), ("r", "b", rights)):
        rows = ", ".join(f"({row}, '{text.replace(chr(39), chr(39) * 2)}')" for row, text in enumerate(texts))
        con.sql(f"CREATE TABLE {table} AS FROM (VALUES {rows}) AS v(id, {column})")


def run_sql(one: World, overlooks: Overlooks, quality: float) -> Joined:
    """One query in a store of its own."""
    judge = Judge(one, overlooks)
    with (
        LoopbackServer(Profile("m"), answer=judge.answer, keep_bodies=False) as server,
        tempfile.TemporaryDirectory() as folder,
        anserdb.connect(store=Path(folder) / "s.anser", llm_model="m", llm_concurrency=32) as con,
    ):
        con.sql(f"CREATE MODEL m USING openai (model 'm', base_url '{server.base_url}', context_tokens {CONTEXT})")
        make_tables(con, one.lefts, one.rights)
        con.sql(f"SET llm_min_quality = {quality}; SET llm_disabled_rules = 'join_classification, join_keys'")
        result = con.sql(QUERY)
        assert result is not None
        found = frozenset((left, right) for left, right in result.fetchall())
        progress = result.progress
        note = "" if progress is None else next(iter(progress.sites.values())).notes.get("join", "")
        said = PROVED.search(note)
        blocks, proved = (int(said[1].replace(",", "")), float(said[2]) / 100) if said else (0, 1.0)
        return Joined(server.stats.requests, judge.characters / CHARACTERS_A_TOKEN, found, blocks, proved)


@cache
def nested_tokens(lefts: tuple[str, ...], rights: tuple[str, ...]) -> float:
    """Tokens of a prompt for each pair."""
    letters = sum(map(len, lefts)) * len(rights) + sum(map(len, rights)) * len(lefts)
    return (letters + len(lefts) * len(rights) * (HEAD_CHARACTERS + len("Yes"))) / CHARACTERS_A_TOKEN
