"""The engine: SQL text to plan, plan to stages, stages to Arrow, and the doors a user comes through."""
