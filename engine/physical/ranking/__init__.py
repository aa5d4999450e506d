"""Top-k by a model: which k rows come first, asked as little as possible. Pure: it knows judges, not models or plans.

Sources: partitions asked in whole batches after LOTUS (Patel et al., arXiv:2407.11418); Copeland's rule for who comes
first when comparisons contradict each other.
"""
