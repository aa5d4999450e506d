"""Planted facts through ``LLM_AGG``: what its tree of notes keeps, beside one running note. The model is SIMULATED.

The operator is the real one, through SQL. The model reads every fact in its prompt and forgets each with the same small
probability in every call, by a hash; so what is measured is the operator: that each row is read exactly once, and that few calls
stand between a row and the answer.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from dataclasses import dataclass
from random import Random

import anserdb
from anserdb.udfs.models.base import Generate, Reply, Request, TextAnswer
from anserdb.udfs.models.scripted import ScriptedModel
from anserdb.udfs.prompts.folding import CHUNK_CHARACTERS

FACTS, RECOVERED, FORGETS = 50, 0.95, 0.01
ROWS, FEW_ROWS = 2_000, 20
_FACT = re.compile(r"FACT-\d\d")
_ROW = re.compile(r"<row \d+>")
_LEVEL = re.compile(r"level (\d+)")
# A note of a few sentences, whatever it keeps.
_FILLER = " and so on" * 50


@dataclass(frozen=True, slots=True)
class Folded:
    """What came out of one group.

    Parameters
    ----------
    kept : share of the facts in the answer. once : every row was in exactly one prompt. depth : calls from a row to the answer.
    most : as many levels as a tree with its narrowest full merge needs. calls : all.
    """

    kept: float
    once: bool
    depth: int
    most: int
    calls: int


def answered(request: Request) -> str:
    """A note on what stands in the prompt, one level above what it reads."""
    assert isinstance(request, Generate)
    facts = [fact for fact in dict.fromkeys(_FACT.findall(request.user)) if not _forgotten(request.user, fact)]
    level = 1 + max(map(int, _LEVEL.findall(request.user)), default=0)
    return f"level {level}: {' '.join(facts)}{_FILLER}"


def _forgotten(prompt: str, fact: str) -> bool:
    return zlib.crc32(f"{fact}{prompt}".encode()) % 10_000 < FORGETS * 10_000


def texts(seed: int, rows: int) -> list[str]:
    """Rows of some 200 characters, ``FACTS`` of which hold a fact each."""
    planted = Random(seed).sample(range(rows), min(FACTS, rows))
    facts = {row: f"FACT-{number:02d} " for number, row in enumerate(planted)}
    return [f"<row {row}> {facts.get(row, '')}{'the lid sticks ' * 12}seed {seed}" for row in range(rows)]


def folded(seed: int, rows: int) -> Folded:
    """One group through ``SELECT LLM_AGG(…)``."""
    model = ScriptedModel([("", lambda request: Reply(answered(request)))])
    with anserdb.connect(":memory:", store=":memory:") as con:
        con.register_model("facts", model)
        con.execute("CREATE TABLE t AS SELECT unnest(?) AS body", [texts(seed, rows)])
        ((answer,),) = con.sql("SELECT LLM_AGG(body, 'List the facts.', model := 'facts') FROM t").fetchall()
    prompts = [call.user for call in model.calls if isinstance(call, Generate)]
    read = Counter(row for prompt in prompts for row in _ROW.findall(prompt))
    first = sum(bool(_ROW.search(prompt)) for prompt in prompts)
    kept = len(set(_FACT.findall(answer))) / min(FACTS, rows)
    (depth,) = map(int, _LEVEL.findall(answer))
    return Folded(kept, len(read) == rows and set(read.values()) == {1}, depth, _levels(first), len(prompts))


def _levels(leaves: int) -> int:
    """One level of parts, and those of a tree over their notes, as wide as notes of the longest kind allow."""
    longest = len(f"note 1000: \nlevel 9: {'FACT-00 ' * FACTS}{_FILLER}")
    return 1 + math.ceil(math.log(leaves) / math.log(max(2, CHUNK_CHARACTERS // longest))) if leaves > 1 else 1


def running(seed: int, rows: int) -> float:
    """The share kept by a note that is rewritten with each chunk of as many characters: a call a chunk, one after the other."""
    note, chunk = "", ""
    for text in [*texts(seed, rows), None]:
        if text is not None and len(chunk) + len(text) < CHUNK_CHARACTERS:
            chunk += f"{text}\n"
            continue
        note = answered(Generate("", f"{note}\n{chunk}", TextAnswer()))
        chunk = f"{text}\n"
    return len(set(_FACT.findall(note))) / FACTS


def report(seeds: int) -> bool:
    """Prints the figures; whether the targets are met."""
    large = [folded(seed, ROWS) for seed in range(seeds)]
    small = [folded(seed, FEW_ROWS) for seed in range(seeds)]
    kept = sum(run.kept for run in large) / seeds
    line = sum(running(seed, ROWS) for seed in range(seeds)) / seeds
    once = all(run.once for run in (*large, *small))
    deep = all(run.depth <= run.most for run in large)
    single = all(run.calls == 1 for run in small)
    print(
        f"\n## {FACTS} facts planted in {ROWS:,} rows, {seeds} seeds, LLM_AGG over a SIMULATED model that forgets {FORGETS:.0%} of the "
        f"facts in each call\n\nrecovered {kept:.3f}, worst seed {min(run.kept for run in large):.3f} (target {RECOVERED}); one running "
        f"note: {line:.3f}\nevery row read exactly once: {_yes(once)}\nlevels {max(run.depth for run in large)}, a tree needs "
        f"{large[0].most}: {_yes(deep)}; calls {large[0].calls}\n{FEW_ROWS} rows take one call: {_yes(single)}"
    )
    return kept >= RECOVERED and once and deep and single


def _yes(held: bool) -> str:
    return "yes" if held else "NO"
