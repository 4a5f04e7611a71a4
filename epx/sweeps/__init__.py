"""Sweeps: lists of runs, their grouping into ensembles, and their execution."""
