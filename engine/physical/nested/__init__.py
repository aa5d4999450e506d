"""Nested ancestry: rows that one row became are found together again without waiting for all the others.

Source: Alto (Santhanam et al., arXiv:2403.04311): a tag that says whose part a row is, inferred from the query.
"""
