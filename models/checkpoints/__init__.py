"""Published weights: fetched, read, checked and loaded."""
