"""What tests of whole programs share: a server with a say in what each question meets, and children that use it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import anserdb
from tests.support.loopback import LoopbackServer, user_text

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0

CHILD = """
import os, sys
import anserdb
con = anserdb.connect({database!r}, store={store!r}, llm_model="remote", **{settings!r})
con.sql("CREATE OR REPLACE MODEL remote (PROVIDER openai, MODEL 'simulated', BASE_URL '{base_url}', API_KEY_ENV 'PLANTED_KEY')")
con.sql("CREATE OR REPLACE TABLE t AS SELECT i AS id, 'body ' || i || '.' AS body FROM range({rows}) r(i)")
QUERY = "SELECT id, LLM_COMPLETE('say', body) AS x FROM t ORDER BY id"
"""


def connect(
    server: LoopbackServer | str, store: Path | str = ":memory:", rows: int = 20, **settings: Any
) -> anserdb.Connection:
    """A connection whose default model is the server, with a table ``t`` of so many rows."""
    base_url = server if isinstance(server, str) else server.base_url
    con = anserdb.connect(store=store, llm_model="remote", **settings)
    con.sql(
        f"CREATE OR REPLACE MODEL remote (PROVIDER openai, MODEL 'simulated', BASE_URL '{base_url}', API_KEY_ENV 'PLANTED_KEY')"
    )
    con.sql(f"CREATE OR REPLACE TABLE t AS SELECT i AS id, 'body ' || i || '.' AS body FROM range({rows}) r(i)")
    return con


QUERY = "SELECT id, LLM_COMPLETE('say', body) AS x FROM t ORDER BY id"


def child(
    server: LoopbackServer, program: str, *, store: Path | str = ":memory:", rows: int = 20, env: dict[str, str] | None = None,
    database: str = ":memory:", **settings: Any,
) -> subprocess.Popen[bytes]:  # fmt: skip
    """A Python process that runs ``program`` after the same set-up; ``QUERY`` and ``con`` are there."""
    prelude = CHILD.format(base_url=server.base_url, store=str(store), rows=rows, settings=settings, database=database)
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-c", prelude + program], cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, env=env
    )


def questions(bodies: Iterable[dict[str, Any]]) -> list[str]:
    """What was asked, in the order of arrival."""
    return [user_text(body).splitlines()[-1] for body in bodies]


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread or process is about to do."""
    pause = threading.Event()
    for _ in range(int(PATIENCE_S / 0.005)):
        if condition():
            return
        pause.wait(0.005)
    raise AssertionError("it never happened")
