"""SQL text to plan: find the semantic calls, cut them out by offset, bind the rest with DuckDB."""
