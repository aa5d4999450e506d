"""Sixteen rows in one prompt beside one row each: tokens, and how many answers stay the same, where a model errs more the later a row stands.

``make bench-batching``, or ``python -m benchmarks.row_batching --seeds 5``. The server is SIMULATED (benchmarks/server, a word is a token):
asked for one row it says what is true of it; in a prompt for several the row at place p (from 0) is answered wrongly with probability p
times the decay. Instructions have 400 words, rows 60. Both sides have an empty cache and 32 calls at once. The targets are those of issue
5; the decay at which they must hold was chosen here, and a steeper one is printed beside it, where rows alone are the better choice.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import anserdb

from .server import LoopbackServer, Profile
from .server.asked import asked_choices, asked_schema, user_text

ROWS, SEEDS, ROWS_A_PROMPT = 1_000, 20, 16
INSTRUCTION_WORDS, ROW_WORDS = 400, 60
LABELS = ("up", "down", "left", "right")
DECAYS = (0.001, 0.01)
MOST_TOKENS, LEAST_AGREEMENT = 0.25, 0.99


@dataclass(frozen=True, slots=True)
class Run:
    """One query: its tokens, and its answers in the order of rows."""

    tokens_in: int
    tokens_out: int
    answers: list[str]

    @property
    def tokens(self) -> int:
        """In and out."""
        return self.tokens_in + self.tokens_out


def main() -> None:
    """Print tokens as a ratio to those of one row a prompt."""
    parser = argparse.ArgumentParser(description="Rows that share a prompt beside rows alone.")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    seeds = parser.parse_args().seeds
    print(
        f"SIMULATED server; {ROWS:,} rows of {ROW_WORDS} words, instructions of {INSTRUCTION_WORDS}, {ROWS_A_PROMPT} rows a prompt, {seeds} seeds"
    )
    alone = [query(seed, 1, 0.0) for seed in range(seeds)]
    for decay in DECAYS:
        together = [query(seed, ROWS_A_PROMPT, decay) for seed in range(seeds)]
        ratios = [mine.tokens / one.tokens for mine, one in zip(together, alone, strict=True)]
        agreed = [
            mean(a == b for a, b in zip(mine.answers, one.answers, strict=True))
            for mine, one in zip(together, alone, strict=True)
        ]
        out = mean(mine.tokens_out / one.tokens_out for mine, one in zip(together, alone, strict=True))
        print(
            f"a row at place p errs with p x {decay:.1%}: tokens {mean(ratios):.3f}x (worst {max(ratios):.3f}x; at most {MOST_TOKENS}x: "
            f"{_met(max(ratios) <= MOST_TOKENS)}), out alone {out:.2f}x, answers that stay {mean(agreed):.2%} (worst {min(agreed):.2%}; "
            f"at least {LEAST_AGREEMENT:.0%} on average: {_met(mean(agreed) >= LEAST_AGREEMENT)})"
        )


def query(seed: int, rows_a_prompt: int, decay: float) -> Run:
    """One run in a store of its own."""
    words = " ".join(f"rule{n}" for n in range(INSTRUCTION_WORDS))
    call = (
        f"LLM_CLASSIFY(body, {list(LABELS)}, instructions := '{words}'"
        f"{f', batch_rows := {rows_a_prompt}' * (rows_a_prompt > 1)})"
    )
    with (
        LoopbackServer(Profile("m", price_in=1.0, price_out=1.0), answer=said(decay)) as server,
        tempfile.TemporaryDirectory() as folder,
        anserdb.connect(store=Path(folder) / "s.anser", llm_model="m", llm_concurrency=32) as con,
    ):
        con.sql(f"CREATE MODEL m USING openai (model 'm', base_url '{server.base_url}', price_in 1.0, price_out 1.0)")
        text = f"'row{seed}-' || i || repeat(' word', {ROW_WORDS - 1})"
        con.sql(f"CREATE TABLE t AS SELECT i AS id, {text} AS body FROM range({ROWS}) r(i)")
        result = con.sql(f"SELECT {call} FROM t ORDER BY id")
        assert result is not None
        answers = [answer for (answer,) in result.fetchall()]
        return Run(server.bill.total.tokens_in, server.bill.total.tokens_out, answers)


def said(decay: float) -> Callable[[dict[str, Any]], Any]:
    """The label is a hash of the row's name; at a late place the next one is said, by a chance that belongs to row and place."""

    def answer(body: dict[str, Any]) -> Any:
        if choices := asked_choices(body):
            return {choice: -0.1 if choice == label(_name(user_text(body))) else -9.0 for choice in choices}
        found = rows_of(user_text(body), (asked_schema(body) or {})["properties"])
        return json.dumps({name: _at(row, place, decay) for place, (name, row) in enumerate(found.items())})

    return answer


def rows_of(text: str, ids: Mapping[str, Any]) -> dict[str, str]:
    """The name of each row of a prompt, by id, in the order in which rows stand there."""
    places = sorted((text.index(f"{name}:\n"), name) for name in ids)
    return {name: _name(text[at:]) for at, name in places}


def label(name: str) -> str:
    """Of a row."""
    return LABELS[_number(name) % len(LABELS)]


def _at(name: str, place: int, decay: float) -> str:
    errs = _number(f"{place} {name}") < decay * place * 2**32
    return LABELS[(_number(name) + errs) % len(LABELS)]


def _name(text: str) -> str:
    return next(word for word in text.split() if word.startswith("row") and "-" in word)


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")


def _met(held: bool) -> str:
    return "met" if held else "MISSED"


if __name__ == "__main__":
    main()
