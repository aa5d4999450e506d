"""The connections of the matrix, opened once a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .doors import Doors, doors


@pytest.fixture(scope="module")
def both() -> Iterator[Doors]:
    """Plain DuckDB and AnserDB."""
    with doors() as opened:
        yield opened
