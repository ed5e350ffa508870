"""DeepRes."""
