"""Fetch, read, check and load published weights."""
