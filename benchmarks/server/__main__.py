"""The simulator as a process: ``python -m benchmarks.server --port 0`` prints its port, and ends with its standard input."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from . import FaultRates, LoopbackServer, Profile

_FIELDS = [field.name for field in fields(Profile)]
_TYPES = {"model": str, "overload": str, "cap": int, "cache_tokens": int, "dimension": int}


def main() -> None:
    """Serve until standard input ends, so that no parent leaves it behind."""
    server, forever = server_of(sys.argv[1:])
    asyncio.run(_serve(server, forever=forever))


def server_of(words: Sequence[str]) -> tuple[LoopbackServer, bool]:
    """The server that a command line describes, and whether it outlives its standard input."""
    given = vars(_parser().parse_args(words))
    models, name, faults = given.pop("models"), given.pop("served_model_name"), given.pop("fault")
    forever, _ = given.pop("forever"), given.pop("host")
    one = {field: given.pop(field) for field in _FIELDS}
    one = {field: value for field, value in {**one, "model": name or one["model"]}.items() if value is not None}
    profiles = [Profile(**table) for table in tomllib.loads(models.read_text())["model"]] if models else []
    fault = FaultRates(dict(map(_rate, faults)), given["seed"]) if faults else None
    return LoopbackServer(*profiles, fault=fault, keep_bodies=False, **given, **one), forever


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.server",
        description="SIMULATOR of an OpenAI-compatible server, for tests and benchmarks.",
    )
    parser.add_argument("--port", type=int, default=0, help="0: where there is room")
    parser.add_argument("--host", default="127.0.0.1", choices=["127.0.0.1"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tokenize", choices=["vllm", "llamacpp"], help="whose /tokenize to offer")
    parser.add_argument(
        "--fault", action="append", default=[], metavar="WHAT=RATE", help="such as 429=0.05 or drop=0.01"
    )
    parser.add_argument("--models", type=Path, metavar="FILE", help="TOML with a table [[model]] of profiles each")
    parser.add_argument("--served-model-name", help="another way to say --model")
    parser.add_argument("--forever", action="store_true", help="do not end with standard input")
    one = parser.add_argument_group("the model, if there is one", "see benchmarks/server/profile.py")
    for name in _FIELDS:
        choices = ["queue", "refuse"] if name == "overload" else None
        one.add_argument(f"--{name.replace('_', '-')}", type=_TYPES.get(name, float), choices=choices)
    return parser


def _rate(text: str) -> tuple[Any, float]:
    what, _, rate = text.partition("=")
    return int(what) if what.isdigit() else what, float(rate)


async def _serve(server: LoopbackServer, *, forever: bool) -> None:
    async with server:
        print(server.port, flush=True)
        if forever:
            await asyncio.Event().wait()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    main()
