"""Students that learn from a reference model while rows stream by, and answer those rows that they are sure enough of.

Inspired by L. Nie et al., "Online Cascade Learning for Efficient Inference over Streams" (arXiv 2402.04513); the deferral rule, the
audits and the solved threshold are our own, and the paper's regret bound is not claimed for them.
"""
