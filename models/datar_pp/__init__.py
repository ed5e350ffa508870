"""DATAR on DAT++."""
