"""Where the file lies, who may read it, and what is said when it cannot be used."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from anserdb.engine.errors import OperationalError
from anserdb.engine.store import Store, data_dir, default_store_path
from anserdb.engine.store.files import use_wal
from anserdb.engine.store.schema import APPLICATION_ID, MIGRATIONS, check_ours, migrate

ROOT = Path(__file__).parents[2]
posix = pytest.mark.skipif(os.name != "posix", reason="POSIX permissions and limits")


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


def test_beside_a_database_file() -> None:
    assert default_store_path("sales/shop.duckdb") == Path("sales/shop.duckdb.anser")
    assert default_store_path(Path("shop")) == Path("shop.anser")
    assert default_store_path(r"C:\shop.duckdb") == Path(r"C:\shop.duckdb.anser")


@pytest.mark.parametrize("database", [None, "", ":memory:", ":memory:named", "md:sales", "s3://bucket/shop.duckdb"])
def test_no_local_file_means_the_shared_store(
    database: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSER_HOME", str(tmp_path))
    assert default_store_path(database) == tmp_path / "memory.anser"


@pytest.mark.parametrize(
    ("platform", "xdg", "expected"),
    [
        ("linux", "/data", "/data/anserdb"),
        ("linux", "relative", "/nowhere/ada/.local/share/anserdb"),
        ("linux", "", "/nowhere/ada/.local/share/anserdb"),
        ("darwin", "/data", "/nowhere/ada/Library/Application Support/anserdb"),
        ("win32", "/data", "/nowhere/ada/AppData/Local/anserdb"),
    ],
)
@posix
def test_data_dir(platform: str, xdg: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANSER_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/nowhere/ada")
    monkeypatch.setenv("XDG_DATA_HOME", xdg)
    monkeypatch.setattr(sys, "platform", platform)
    assert data_dir() == Path(expected)


def test_the_place_stays_after_a_change_of_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with Store.open(Path("a shop#%20.anser")) as store:
        store.put_model("m", "openai", {}, replace=False)
        monkeypatch.chdir("elsewhere")
        assert store.query("models").num_rows == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a shop#%20.anser", "elsewhere"]


@posix
def test_the_file_is_private_and_its_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "shop.anser"
    with Store.open(path) as store:
        store.put_model("m", "openai", {}, replace=False)
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {"shop.anser": 0o600, "shop.anser-wal": 0o600, "shop.anser-shm": 0o600}


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("a file, not a folder")
    with pytest.raises(OperationalError, match=r"notes.*choose another place"):
        Store.open(tmp_path / "notes" / "shop.anser")
    with pytest.raises(OperationalError, match="choose another place"):
        Store.open(tmp_path)


UNWRITABLE = """
import os, sys
from pathlib import Path
from anserdb.engine.errors import OperationalError
from anserdb.engine.store import Store
if os.geteuid() == 0:
    os.setuid(65534)  # root may write anywhere
for name in ("fresh.anser", "old.anser"):
    try:
        Store.open(Path(sys.argv[1]) / name)
    except OperationalError as error:
        print(error)
"""


@posix
def test_a_folder_one_may_not_write_to() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Store.open(Path(folder) / "old.anser").close()
        (Path(folder) / "old.anser").chmod(0o444)
        Path(folder).chmod(0o555)
        done = python(UNWRITABLE, folder)
        Path(folder).chmod(0o700)
    assert done.stderr == ""
    fresh, old = done.stdout.splitlines()
    assert "fresh.anser" in fresh
    assert "old.anser" in old
    assert all("Make the file and its folder writable" in line for line in (fresh, old))


FULL_DISK = """
import os, resource, sys
from pathlib import Path
from anserdb.engine.errors import OperationalError
from anserdb.engine.store import CallRecord, Store

def save(i, size):
    key = i.to_bytes(32, "big")
    record = CallRecord(0.0, "q", "1:F", "F", "m", "serve", key, 1, 1, 0, 0.1, 0, None, "ok", None)
    return store.save(record, bytes(size))

store = Store.open(Path(sys.argv[1]))
save(1, 10).result()
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
big = [save(i, 1 << 21) for i in range(2, 5)]
for future in big:
    error = future.exception()
    assert isinstance(error, OperationalError), error
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
save(9, 10).result()
print(sorted(key[-1] for key in store.lookup([i.to_bytes(32, "big") for i in range(10)])))
"""


@posix
def test_a_disk_that_takes_no_more(tmp_path: Path) -> None:
    """The failure reaches each future, what was saved stays, and the store works again when there is room."""
    done = python(FULL_DISK, str(tmp_path / "shop.anser"))
    assert done.stderr == ""
    *errors, kept = done.stdout.splitlines()
    assert len(errors) == 3
    assert all("shop.anser" in line and "kept" in line for line in errors)
    assert kept == "[1, 9]"


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "shop.anser"
    path.write_bytes(b"once upon a time " * 500)
    with pytest.raises(OperationalError, match=r"shop\.anser.*Nothing was deleted: move shop\.anser"):
        Store.open(path)
    assert path.read_bytes() == b"once upon a time " * 500


def test_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "shop.anser"
    with Store.open(path) as store:
        for i in range(50):
            store.put_model(f"model {i}", "openai", {"note": "x" * 500}, replace=False)
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(OperationalError, match=r"move shop\.anser"), Store.open(path) as store:
        store.models()


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "photos.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE photos (name TEXT)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(OperationalError, match="not an AnserDB store"):
        Store.open(path)
    assert path.read_bytes() == before


def test_a_store_made_while_we_look_is_ours(tmp_path: Path) -> None:
    """Another process creates the tables between any two statements of the check."""
    for statements_before in (0, 1):
        path = tmp_path / f"{statements_before}.anser"
        ours, other = sqlite3.connect(path), sqlite3.connect(path, isolation_level=None)
        seen: list[str] = []

        def interleave(
            sql: str, seen: list[str] = seen, other: sqlite3.Connection = other, at: int = statements_before
        ) -> None:
            if len(seen) == at:
                migrate(other, "other")
            seen.append(sql)

        ours.set_trace_callback(interleave)
        check_ours(ours, "ours")
        assert seen
        ours.close()
        other.close()


def test_switching_to_wal_waits_for_a_lock(tmp_path: Path) -> None:
    path = tmp_path / "shop.anser"
    ours, other = sqlite3.connect(path, timeout=0), sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    attempts: list[str] = []

    def release_at_third(sql: str) -> None:
        attempts.append(sql)
        if len(attempts) == 3:
            other.execute("COMMIT")

    ours.set_trace_callback(release_at_third)
    use_wal(ours, path)
    assert len(attempts) == 3
    ours.close()
    other.close()


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "shop.anser"
    Store.open(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(OperationalError, match=r"newer AnserDB.*Upgrade"):
        Store.open(path)


def test_migration_goes_forward_and_keeps_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "shop.anser"
    with Store.open(path) as store:
        store.put_model("m", "openai", {}, replace=False)
    next_version = (*MIGRATIONS, ("ALTER TABLE models ADD COLUMN note TEXT", "UPDATE models SET note = 'migrated'"))
    connection = sqlite3.connect(path, isolation_level=None)
    migrate(connection, str(path), next_version)
    migrate(connection, str(path), next_version)  # a second time does nothing
    assert connection.execute("SELECT name, note FROM models").fetchall() == [("m", "migrated")]
    assert connection.execute("PRAGMA user_version").fetchone() == (len(next_version),)
    assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    connection.close()


def test_a_store_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "shop.anser"
    connection = sqlite3.connect(path, isolation_level=None)
    migrate(connection, str(path), MIGRATIONS[:1])
    connection.execute("INSERT INTO errors VALUES (1, 0.5, 'q', '1:LLM_FILTER', 'LLM_FILTER', 'm', 'text', 'boom')")
    connection.close()
    with Store.open(path) as store:
        (error,) = store.query("errors").to_pylist()
        assert (error["error"], error["row_number"], error["input_digest"], error["tries"]) == (
            "boom",
            None,
            None,
            None,
        )
        assert store.prompts.put("p", "text", replace=False) == 1
        assert store.queries.find("q") is None


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "shop.anser"
    Store.open(path).close()
    connection = sqlite3.connect(path, isolation_level=None)
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, str(path), (*MIGRATIONS, ("CREATE TABLE extra (a)", "CREATE TABLE extra (a)")))
    connection.close()
    with Store.open(path) as store:
        assert store.models() == []
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'extra'").fetchone() == (0,)
    connection.close()


def test_full_synchronous_is_passed_on(tmp_path: Path) -> None:
    with Store.open(tmp_path / "a.anser", synchronous="FULL") as store:
        level = store._writer.submit(lambda connection: connection.execute("PRAGMA synchronous").fetchone()[0])
        assert level.result() == 2
    with Store.open(tmp_path / "b.anser") as store:
        level = store._writer.submit(lambda connection: connection.execute("PRAGMA synchronous").fetchone()[0])
        assert level.result() == 1
