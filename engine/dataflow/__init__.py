"""How semantic work runs: one event loop per process, and between it and DuckDB's threads a bounded bridge.

``loop`` owns the thread; ``run`` is what one query shares (settings, budget, progress, cancellation); ``caller`` answers
one question exactly once (in flight, from the store, or by a paid call that is durable before it is used); ``budget``
caps calls and money; ``demand`` decides how many rows a LIMIT deserves; ``bridge`` carries Arrow batches in and out.

Who goes next is decided in one place: ``dispatcher`` starts jobs by rank on ``devices`` (``capacity``: slots, rates, memory;
``calibration``: how long calls take); ``gates`` makes every call of a model such a job. ``stage_graph`` and ``resources``
describe work and machines, ``graph_run`` works a graph off, ``simulator`` does so on a clock that jumps.
"""
