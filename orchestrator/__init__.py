"""Experiments and ablations for audio event recognition, distributed on Ray."""

__version__ = "0.1.0"
