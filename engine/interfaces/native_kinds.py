"""What a statement was that DuckDB has been given: whether it has run already, and whether it has rows."""

from __future__ import annotations

import duckdb

from ..physical.duck import Duck


def is_lazy(relation: duckdb.DuckDBPyRelation, query: str) -> bool:
    """Whether reading the relation runs the query; else the statement has run, and the relation holds its rows."""
    return relation.sql_query().strip("; \n\t") == query.strip("; \n\t")


def has_rows(duck: Duck, query: str, relation: duckdb.DuckDBPyRelation) -> bool:
    """Whether a statement that has run has rows of its own, and not just a count or a success."""
    kinds = duck.native(duck.connection.extract_statements, query)[-1].expected_result_type
    if duckdb.ExpectedResultType.QUERY_RESULT not in kinds:
        return False
    counted = duckdb.ExpectedResultType.CHANGED_ROWS in kinds and list(relation.columns) == ["Count"]
    return not counted
