"""DATAR on DAT."""
