"""The doors: Python connection and results, DB-API, plain DuckDB functions, shell and command line."""
