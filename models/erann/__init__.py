"""ERANN."""
