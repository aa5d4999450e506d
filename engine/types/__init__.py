"""SQL types as DuckDB names them, and the ways between them, JSON Schema, a model's answers, Python and Arrow.

Leaf layer: nothing here knows of plans, models or sessions.
"""

from .arrow import arrow_type, needs_cast, to_arrow
from .exact import EXACT_KINDS
from .json_text import json_text, read_json
from .schema import INTEGER_RANGES, json_schema, unsupported
from .sql_type import BOOLEAN, DOUBLE, VARCHAR, SqlType, details_type, parse_type, quote, struct_of
from .values import from_json, from_text

__all__ = [
    "BOOLEAN",
    "DOUBLE",
    "EXACT_KINDS",
    "INTEGER_RANGES",
    "VARCHAR",
    "SqlType",
    "arrow_type",
    "details_type",
    "from_json",
    "from_text",
    "json_schema",
    "json_text",
    "needs_cast",
    "parse_type",
    "quote",
    "read_json",
    "struct_of",
    "to_arrow",
    "unsupported",
]
