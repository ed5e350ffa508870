"""PSLA."""
