"""Layers that model families share; token maps are channels-last, (batch, height, width, dim)."""
