"""Auditory SlowFast."""
