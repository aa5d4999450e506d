"""The tables, and the road from any older version of them to this one."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from ..errors import OperationalError

APPLICATION_ID = 0x414E5352  # "ANSR": tells our file from any other SQLite database

VERSION_1 = (
    # A rowid table on purpose: keys are random, so only the narrow index is scattered and payloads are appended.
    "CREATE TABLE answers (key BLOB NOT NULL UNIQUE, model TEXT NOT NULL, payload BLOB NOT NULL, at REAL NOT NULL)",
    """CREATE TABLE calls (
        id INTEGER PRIMARY KEY, at REAL NOT NULL, query_id TEXT NOT NULL, call_site TEXT NOT NULL,
        function TEXT NOT NULL, model TEXT NOT NULL, phase TEXT NOT NULL, key BLOB NOT NULL,
        tokens_in INTEGER, tokens_out INTEGER, tokens_cached INTEGER, seconds REAL NOT NULL, retries INTEGER NOT NULL,
        cost_usd REAL, outcome TEXT NOT NULL, error TEXT)""",
    "CREATE INDEX calls_by_query ON calls (query_id)",
    """CREATE TABLE errors (
        id INTEGER PRIMARY KEY, at REAL NOT NULL, query_id TEXT NOT NULL, call_site TEXT NOT NULL,
        function TEXT NOT NULL, model TEXT NOT NULL, input_preview TEXT NOT NULL, error TEXT NOT NULL)""",
    "CREATE INDEX errors_by_query ON errors (query_id)",
    """CREATE TABLE models (
        name TEXT PRIMARY KEY COLLATE NOCASE, provider TEXT NOT NULL, options TEXT NOT NULL,
        created_at REAL NOT NULL)""",
)

VERSION_2 = (
    "ALTER TABLE errors ADD COLUMN row_number INTEGER",
    "ALTER TABLE errors ADD COLUMN input_digest TEXT",
    "ALTER TABLE errors ADD COLUMN tries INTEGER",
    """CREATE TABLE prompts (
        name TEXT NOT NULL COLLATE NOCASE, version INTEGER NOT NULL, text TEXT NOT NULL, created_at REAL NOT NULL,
        PRIMARY KEY (name, version))""",
    # AUTOINCREMENT: numbers of deleted rows must not come back, for the oldest are found by number.
    """CREATE TABLE queries (
        id INTEGER PRIMARY KEY AUTOINCREMENT, query_id TEXT NOT NULL UNIQUE, at REAL NOT NULL, sql TEXT NOT NULL,
        settings TEXT NOT NULL, refusal TEXT NOT NULL)""",
)

VERSION_3 = (
    "ALTER TABLE calls ADD COLUMN queue_seconds REAL",
    "ALTER TABLE calls ADD COLUMN price_source TEXT",
)

VERSION_4 = (
    """CREATE TABLE stage_trace (
        id INTEGER PRIMARY KEY, query_id TEXT NOT NULL, stage TEXT NOT NULL, device TEXT NOT NULL, model TEXT NOT NULL,
        units INTEGER NOT NULL, queued REAL NOT NULL, started REAL NOT NULL, ended REAL NOT NULL, outcome TEXT NOT NULL)""",
)

VERSION_5 = (
    "ALTER TABLE answers ADD COLUMN function TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE answers ADD COLUMN used_at REAL NOT NULL DEFAULT 0",
    # Answers made before know their function only by the record of their call.
    "CREATE TABLE functions_by_key (key BLOB PRIMARY KEY, function TEXT NOT NULL)",
    "INSERT OR IGNORE INTO functions_by_key SELECT key, function FROM calls WHERE outcome = 'ok'",
    """UPDATE answers SET used_at = at,
        function = coalesce((SELECT f.function FROM functions_by_key f WHERE f.key = answers.key), '')""",
    "DROP TABLE functions_by_key",
    "CREATE INDEX answers_by_use ON answers (used_at)",
    # Kept by triggers: to add it up would be to read the whole table, and other processes write, too.
    "CREATE TABLE cache_size (bytes INTEGER NOT NULL)",
    "INSERT INTO cache_size SELECT coalesce(sum(length(payload) + 200), 0) FROM answers",
    """CREATE TRIGGER answer_added AFTER INSERT ON answers
        BEGIN UPDATE cache_size SET bytes = bytes + length(new.payload) + 200; END""",
    """CREATE TRIGGER answer_gone AFTER DELETE ON answers
        BEGIN UPDATE cache_size SET bytes = bytes - length(old.payload) - 200; END""",
    """CREATE TRIGGER answer_replaced AFTER UPDATE OF payload ON answers
        BEGIN UPDATE cache_size SET bytes = bytes + length(new.payload) - length(old.payload); END""",
    """CREATE TABLE past_usage (
        day TEXT NOT NULL, model TEXT NOT NULL, function TEXT NOT NULL, calls INTEGER NOT NULL,
        failed_calls INTEGER NOT NULL, retries INTEGER NOT NULL, seconds REAL NOT NULL, tokens_in INTEGER,
        tokens_out INTEGER, tokens_cached INTEGER, cost_usd REAL, unknown_token_calls INTEGER NOT NULL,
        unknown_cost_calls INTEGER NOT NULL, PRIMARY KEY (day, model, function))""",
)

VERSION_6 = (
    "ALTER TABLE calls ADD COLUMN endpoint TEXT",
    "ALTER TABLE calls ADD COLUMN discarded INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE calls ADD COLUMN energy_j_low REAL",
    "ALTER TABLE calls ADD COLUMN energy_j REAL",
    "ALTER TABLE calls ADD COLUMN energy_j_high REAL",
    "ALTER TABLE calls ADD COLUMN energy_method TEXT",
    "ALTER TABLE calls ADD COLUMN co2_g REAL",
    "ALTER TABLE calls ADD COLUMN co2_source TEXT",
    "ALTER TABLE past_usage ADD COLUMN discarded_calls INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE past_usage ADD COLUMN energy_j_low REAL",
    "ALTER TABLE past_usage ADD COLUMN energy_j REAL",
    "ALTER TABLE past_usage ADD COLUMN energy_j_high REAL",
    "ALTER TABLE past_usage ADD COLUMN co2_g REAL",
    "ALTER TABLE past_usage ADD COLUMN unknown_energy_calls INTEGER NOT NULL DEFAULT 0",
    "UPDATE past_usage SET unknown_energy_calls = calls",
    "ALTER TABLE past_usage ADD COLUMN cached INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE past_usage ADD COLUMN avoided_cost_usd REAL",
    "ALTER TABLE past_usage ADD COLUMN avoided_energy_j REAL",
    "ALTER TABLE past_usage ADD COLUMN avoided_co2_g REAL",
    # Answers that were found, summed up: a record of each would cost more than finding it does.
    """CREATE TABLE reuses (
        id INTEGER PRIMARY KEY, at REAL NOT NULL, query_id TEXT NOT NULL, call_site TEXT NOT NULL,
        function TEXT NOT NULL, model TEXT NOT NULL, cached INTEGER NOT NULL, avoided_cost_usd REAL,
        avoided_energy_j REAL, avoided_co2_g REAL, UNIQUE (query_id, call_site, function, model))""",
)

_LINE_JOULES = """CASE WHEN a.counted IS NOT NULL THEN a.counted * t.counted{0}
    ELSE max(0, a.tokens_in - coalesce(a.tokens_cached, 0)) * t.read{0} + coalesce(a.tokens_out, 0) * t.written{0} END"""
_LINE_USD = """CASE WHEN a.cost_usd IS NOT NULL THEN a.cost_usd WHEN t.price_in IS NULL AND t.price_out IS NULL THEN NULL
    ELSE CASE a.tokens_in WHEN 0 THEN 0.0 ELSE (a.tokens_in * t.price_in
        - min(a.tokens_in, coalesce(a.tokens_cached, 0)) * (t.price_in - coalesce(t.price_cached_in, t.price_in))) / 1e6 END
    + CASE coalesce(a.tokens_out, 0) WHEN 0 THEN 0.0 ELSE a.tokens_out * t.price_out / 1e6 END END"""

VERSION_7 = (
    # Calls that were answered as usual: raw counts, and in tariffs what follows from them.
    """CREATE TABLE tariffs (
        id INTEGER PRIMARY KEY, at REAL NOT NULL, query_id TEXT NOT NULL, call_site TEXT NOT NULL, function TEXT NOT NULL,
        model TEXT NOT NULL, endpoint TEXT, price_in REAL, price_cached_in REAL, price_out REAL, price_source TEXT NOT NULL,
        read_low REAL NOT NULL, read REAL NOT NULL, read_high REAL NOT NULL, written_low REAL NOT NULL,
        written REAL NOT NULL, written_high REAL NOT NULL, counted_low REAL NOT NULL, counted REAL NOT NULL,
        counted_high REAL NOT NULL, energy_method TEXT NOT NULL, co2_g_per_kwh REAL NOT NULL, co2_source TEXT NOT NULL)""",
    "CREATE INDEX tariffs_by_query ON tariffs (query_id)",
    """CREATE TABLE answered (
        id INTEGER PRIMARY KEY, tariff INTEGER NOT NULL, at REAL NOT NULL, phase TEXT NOT NULL, key BLOB NOT NULL,
        tokens_in INTEGER, tokens_out INTEGER, tokens_cached INTEGER, seconds REAL NOT NULL, queue_seconds REAL,
        retries INTEGER NOT NULL, cost_usd REAL, counted REAL)""",
    f"""CREATE VIEW answered_joules AS
        SELECT a.*, t.query_id, t.call_site, t.function, t.model, t.endpoint, t.price_source, t.at AS priced_at,
            t.energy_method, t.co2_g_per_kwh, t.co2_source, {_LINE_USD} AS usd, {_LINE_JOULES.format("_low")} AS joules_low,
            {_LINE_JOULES.format("")} AS joules, {_LINE_JOULES.format("_high")} AS joules_high
        FROM answered a JOIN tariffs t ON t.id = a.tariff""",
    """CREATE VIEW answered_calls AS
        SELECT id, at, query_id, call_site, function, model, phase, key, tokens_in, tokens_out, tokens_cached, seconds,
            retries, usd AS cost_usd, 'ok' AS outcome, NULL AS error, queue_seconds,
            CASE WHEN usd IS NULL THEN 'unknown' ELSE price_source END AS price_source, endpoint, 0 AS discarded,
            joules_low AS energy_j_low, joules AS energy_j, joules_high AS energy_j_high,
            CASE WHEN joules IS NOT NULL THEN energy_method END AS energy_method,
            joules * co2_g_per_kwh / 3.6e6 AS co2_g, co2_source, priced_at
        FROM answered_joules""",
    """CREATE VIEW all_calls AS
        SELECT id, at, query_id, call_site, function, model, phase, key, tokens_in, tokens_out, tokens_cached, seconds,
            retries, cost_usd, outcome, error, queue_seconds, price_source, endpoint, discarded, energy_j_low, energy_j,
            energy_j_high, energy_method, co2_g, co2_source, at AS priced_at
        FROM calls UNION ALL SELECT * FROM answered_calls""",
)

VERSION_8 = (
    # What calls were like, summed up at the end of queries; older answers count less and less.
    """CREATE TABLE statistics (
        task TEXT NOT NULL, arm TEXT NOT NULL, data TEXT NOT NULL, thinned_by TEXT NOT NULL, function TEXT NOT NULL,
        model TEXT NOT NULL, about TEXT NOT NULL, inputs REAL NOT NULL, rows REAL NOT NULL, rows_true REAL NOT NULL,
        paid REAL NOT NULL, calls REAL NOT NULL, tokens_in REAL NOT NULL, tokens_in_squares REAL NOT NULL,
        tokens_out REAL NOT NULL, tokens_out_squares REAL NOT NULL, seconds REAL NOT NULL, seconds_squares REAL NOT NULL,
        compared REAL NOT NULL, agreed REAL NOT NULL, updated_at REAL NOT NULL, PRIMARY KEY (task, arm, data, thinned_by))""",
)

VERSION_9 = (
    # What was promised of the answers of a call, and proved: a line for each metric.
    """CREATE TABLE certificates (
        id INTEGER PRIMARY KEY, at REAL NOT NULL, query_id TEXT NOT NULL, call_site TEXT NOT NULL, function TEXT NOT NULL,
        reference TEXT NOT NULL, proxy TEXT NOT NULL, metric TEXT NOT NULL, target REAL NOT NULL, delta REAL NOT NULL,
        certified REAL NOT NULL, estimate REAL NOT NULL, rows INTEGER NOT NULL, by_proxy INTEGER NOT NULL,
        by_reference INTEGER NOT NULL, labels INTEGER NOT NULL, method TEXT NOT NULL, sample_digest TEXT NOT NULL,
        reason TEXT NOT NULL, scope TEXT NOT NULL)""",
    "CREATE INDEX certificates_by_query ON certificates (query_id)",
)

VERSION_10 = (
    # What learnt from a model's answers, by task.
    """CREATE TABLE students (
        task TEXT PRIMARY KEY, function TEXT NOT NULL, model TEXT NOT NULL, about TEXT NOT NULL, met INTEGER NOT NULL,
        body BLOB NOT NULL, updated_at REAL NOT NULL)""",
)

VERSION_11 = (
    # What CREATE PROXY taught.
    """CREATE TABLE proxies (
        name TEXT PRIMARY KEY COLLATE NOCASE, function TEXT NOT NULL, words TEXT NOT NULL, task TEXT NOT NULL,
        reference TEXT NOT NULL, inputs INTEGER NOT NULL, training INTEGER NOT NULL, hold_out INTEGER NOT NULL,
        agreed INTEGER NOT NULL, embedded_by TEXT NOT NULL, told TEXT NOT NULL, numbers BLOB NOT NULL, tested BLOB NOT NULL,
        created_at REAL NOT NULL)""",
)

VERSION_12 = (
    # Right answers that users gave (CALL llm_feedback), by what is asked and the key of its inputs (text, or a digest).
    """CREATE TABLE feedback (
        task TEXT NOT NULL, input BLOB NOT NULL, answer TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (task, input))""",
)

# Entry i takes version i to i + 1. Append; never edit an entry that was released.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    VERSION_1, VERSION_2, VERSION_3, VERSION_4, VERSION_5, VERSION_6, VERSION_7, VERSION_8,
    VERSION_9, VERSION_10, VERSION_11, VERSION_12,
)  # fmt: skip


def check_ours(connection: sqlite3.Connection, where: str) -> None:
    """Refuse, before anything is written, an SQLite database that belongs to another program."""
    # Tables first: whoever makes ours sets the mark in the same commit, so tables seen without the mark are not ours.
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables and _number(connection, "application_id") != APPLICATION_ID:
        raise OperationalError(
            f"{where} is an SQLite database, but not an AnserDB store. Nothing in it was changed: "
            "move it away, or choose another place for the store."
        )


def migrate(connection: sqlite3.Connection, where: str, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> None:
    """Bring the tables to the version after the last of ``migrations``, in one transaction.

    Raises
    ------
    OperationalError : the file was written by a newer AnserDB.
    """
    if _number(connection, "user_version") == len(migrations):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Read again now that we hold the lock: another process may have migrated while we waited for it.
        _apply(connection, where, migrations)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _apply(connection: sqlite3.Connection, where: str, migrations: Sequence[Sequence[str]]) -> None:
    version = _number(connection, "user_version")
    if version > len(migrations):
        raise OperationalError(
            f"{where} was written by a newer AnserDB (store version {version}; this one knows {len(migrations)}). "
            "Upgrade with: pip install --upgrade anserdb"
        )
    for step in migrations[version:]:
        for statement in step:
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {len(migrations)}")


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])
