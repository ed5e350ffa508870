"""Sweeps that come with the program, `orchestrator.sweeps` where it is installed."""
