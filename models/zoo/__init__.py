"""Information about the models: cards, counts, published results, and weights."""
