"""The search for the cheapest plan that is good enough: what arms are worth, which one serves, which points a user may choose from.

Pure: nothing here asks a model or reads a clock; it is told what was asked and what came of it.
"""
