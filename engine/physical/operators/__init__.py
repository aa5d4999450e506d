"""One file per kind of node that runs outside the user's own DuckDB connection."""
