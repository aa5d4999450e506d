"""Semantic joins that ask fewer pairs, or many in a prompt: pure algorithms over callables that judge. Nothing here does I/O."""
