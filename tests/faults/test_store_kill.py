"""Processes that are killed, that race, that fork, that just end: no answer whose future resolved may be lost."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from anserdb.engine.store import Store

ROOT = Path(__file__).parents[2]

PRELUDE = """
import hashlib, os, sys, threading
from pathlib import Path
from anserdb.engine.store import CallRecord, Store

def key_of(text):
    return hashlib.sha256(text.encode()).digest()

def record(text):
    return CallRecord(0.0, "q", "1:F", "F", "m", "serve", key_of(text), 1, 1, 0, 0.1, 0, None, "ok", None)

path = Path(sys.argv[1])
"""

SAVER = (
    PRELUDE
    + """
store = Store.open(path)
window = threading.Semaphore(64)
for i in range(10_000_000):
    window.acquire()
    def tell(future, text=str(i)):
        future.result()
        os.write(1, (text + "\\n").encode())
        window.release()
    store.save(record(str(i)), str(i).encode() * 50).add_done_callback(tell)
"""
)

RACER = (
    PRELUDE
    + """
me = sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
with Store.open(path) as store:
    for start in range(0, 600, 20):
        names = [f"shared {i}" for i in range(start, start + 20)] + [f"{me} {i}" for i in range(start, start + 20)]
        for future in [store.save(record(name), f"{me}: {name}".encode()) for name in names]:
            future.result()
"""
)

ENDER = (
    PRELUDE
    + """
store = Store.open(path)
for i in range(1000):
    store.save(record(str(i)), b"x")
"""
)

FORKER = (
    PRELUDE
    + """
from anserdb.engine.errors import InterfaceError
store = Store.open(path)
store.save(record("before"), b"x").result()
if (child := os.fork()) == 0:
    try:
        store.lookup([key_of("before")])
    except InterfaceError as error:
        print(error, flush=True)
    store.close()
    with Store.open(path) as own:
        own.save(record("child"), b"x").result()
    sys.exit(0)
os.waitpid(child, 0)
store.save(record("after"), b"x").result()
print(len(store.lookup([key_of("before"), key_of("child"), key_of("after")])))
"""
)


def start(code: str, *arguments: str) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe)


def key_of(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def assert_sound(path: Path) -> None:
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
@pytest.mark.parametrize("lines", [1, 700, 5000])
def test_kill_in_the_middle_of_saving(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "shop.anser"
    with start(SAVER, str(path)) as child:
        assert child.stdout
        told = [child.stdout.readline() for _ in range(lines)]
        child.send_signal(signal.SIGKILL)
        told += [line for line in child.stdout.readlines() if line.endswith(b"\n")]
        assert child.wait() == -signal.SIGKILL
    texts = [line.decode().strip() for line in told]
    assert len(texts) >= lines
    with Store.open(path) as store:
        assert store.lookup([key_of(text) for text in texts]) == {key_of(t): t.encode() * 50 for t in texts}
    assert_sound(path)


def test_two_processes_write_the_same_and_different_keys(tmp_path: Path) -> None:
    path = tmp_path / "shop.anser"
    racers = {me: start(RACER, str(path), me) for me in ("ada", "bob")}
    for racer in racers.values():
        assert racer.stdout
        assert racer.stdout.readline() == b"ready\n"
    for racer in racers.values():
        assert racer.stdin
        racer.stdin.write(b"\n")
        racer.stdin.flush()
    assert [racer.communicate(timeout=120)[1] for racer in racers.values()] == [b"", b""]
    shared = [f"shared {i}" for i in range(600)]
    with Store.open(path) as store:
        for me in racers:
            own = [f"{me} {i}" for i in range(600)]
            assert store.lookup([key_of(n) for n in own]) == {key_of(n): f"{me}: {n}".encode() for n in own}
        found = store.lookup([key_of(name) for name in shared])
        assert all(found[key_of(name)] in (f"ada: {name}".encode(), f"bob: {name}".encode()) for name in shared)
        assert store.query("calls").num_rows == 2 * 1200
    assert_sound(path)


def test_many_processes_make_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "shop.anser"
    racers = [start(RACER.replace("600", "20"), str(path), str(me)) for me in range(6)]
    for racer in racers:
        assert racer.stdout
        assert racer.stdout.readline() == b"ready\n"
    for racer in racers:
        assert racer.stdin
        racer.stdin.write(b"\n")
        racer.stdin.flush()
    assert [racer.communicate(timeout=120)[1] for racer in racers] == [b""] * 6
    with Store.open(path) as store:
        assert store.query("calls").num_rows == 6 * 40
    assert_sound(path)


def test_a_process_that_just_ends_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "shop.anser"
    with start(ENDER, str(path)) as child:
        assert child.communicate(timeout=60) == (b"", b"")
    with Store.open(path) as store:
        assert len(store.lookup([key_of(str(i)) for i in range(1000)])) == 1000
    assert_sound(path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
def test_a_fork_is_refused_and_harms_nobody(tmp_path: Path) -> None:
    path = tmp_path / "shop.anser"
    with start("import warnings; warnings.simplefilter('ignore')\n" + FORKER, str(path)) as parent:
        out, problems = parent.communicate(timeout=60)
    assert problems == b""
    refused, found = out.decode().splitlines()
    assert "before a fork" in refused
    assert found == "3"
    assert_sound(path)
