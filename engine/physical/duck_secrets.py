"""Keys in DuckDB's secrets, for models with the option ``api_key_secret``.

DuckDB shows what a secret holds only where the database was opened with ``allow_unredacted_secrets``, which nobody can
switch on later. There is no other supported road to it.
"""

from __future__ import annotations

import re

import duckdb
import pyarrow as pa

from ..sql.statements import without_strings
from .duck import Duck

_QUERY = "SELECT secret_string FROM duckdb_secrets(redact := false) WHERE name = lower(?)"
# name=k;type=http;…;bearer_token=…;extra_http_headers={…}: a value ends before the next name, or at the end.
_KEY = re.compile(r"(?:^|;)(?:bearer_token|api_key|token)=(.*?)(?=;\w+(?:=|;|$)|$)", re.DOTALL | re.IGNORECASE)
HOW = "anserdb.connect(duckdb.connect(path, config={'allow_unredacted_secrets': True}))"


def run_secret(duck: Duck, sql: str) -> pa.Table:
    """Run a statement about secrets, verbatim. DuckDB's errors quote what they are about: ours do not."""
    try:
        return duck.table(sql)
    except duckdb.Error as error:
        hidden = type(error)(without_strings(str(error), sql))
    raise hidden  # outside, without the first error as its context


class DuckSecrets:
    """Reads keys from the secrets of a connection's database.

    Parameters
    ----------
    connection : the user's. Looking happens on a cursor, because the connection may be streaming a result.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def __call__(self, name: str) -> str:
        """The key that the secret ``name`` holds.

        Raises
        ------
        LookupError : there is no such secret, it holds no key, or the database does not show it.
        """
        try:
            with self._connection.cursor() as cursor:
                row = cursor.execute(_QUERY, [name]).fetchone()
        except duckdb.InvalidInputException:
            raise LookupError(
                f"DuckDB keeps secret {name} to itself, because the database was not opened to show secrets. Open it with "
                f"{HOW}, or use api_key_env."
            ) from None
        except duckdb.Error as error:
            raise LookupError(f"Secret {name} cannot be read: {type(error).__name__}.") from None
        if row is None:
            raise LookupError(f"There is no secret {name}: CREATE SECRET {name} (TYPE http, BEARER_TOKEN '…').")
        found = _KEY.search(str(row[0]))
        if found is None or not found[1].strip():
            raise LookupError(f"Secret {name} holds no key: it needs BEARER_TOKEN (of TYPE http), API_KEY or TOKEN.")
        return found[1].strip()
