"""HTS-AT."""
