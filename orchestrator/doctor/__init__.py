"""Compares the data and the first epoch of an experiment with a log, and names what departs first.

`facts` has what is compared, in causal order, and when two values differ; `observe` measures it on
an experiment; `log` reads and writes logs, and has those of the recipes.
"""
