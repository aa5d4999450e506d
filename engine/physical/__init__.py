"""Plan to running stages: DuckDB fragments below and above, semantic operators between them, Arrow all the way."""
