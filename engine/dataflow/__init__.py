"""How semantic work runs: one event loop per process, and between it and DuckDB's threads a bounded bridge.

``loop`` owns the thread; ``run`` is what one query shares (settings, budget, progress, cancellation); ``caller`` answers
one question exactly once (in flight, from the store, or by a paid call that is durable before it is used); ``budget``
caps calls and money; ``demand`` decides how many rows a LIMIT deserves; ``bridge`` carries Arrow batches in and out.
"""
