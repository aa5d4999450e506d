"""The simulator of ``benchmarks/server`` for tests; run as a script from anywhere, it is ``python -m benchmarks.server``."""

from __future__ import annotations

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.server import Fault, Kind, LoopbackServer
from benchmarks.server.answers import Answer
from benchmarks.server.asked import asked_choices, asked_schema, user_text
from benchmarks.server.tokenizing import Tokenizer

__all__ = [
    "Answer",
    "Fault",
    "Kind",
    "LoopbackServer",
    "Tokenizer",
    "asked_choices",
    "asked_schema",
    "user_text",
]

if __name__ == "__main__":
    from benchmarks.server.__main__ import main

    main()
