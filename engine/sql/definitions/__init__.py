"""Views and macros whose body asks a model: kept in DuckDB's own catalogue, and put into the statements that read them
(`ADR 12 <../../../docs/adr/0012-views-and-macros.md>`_)."""
