"""Checks before launch: every arm is built, trained for two steps and compared."""
