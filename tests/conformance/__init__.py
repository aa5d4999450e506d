"""Plain SQL unharmed: DuckDB's own cases, and ours, through AnserDB's connection. ``make conformance`` runs all of it."""
