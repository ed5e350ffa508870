"""What is known of the models: cards, counts, published results and weights."""
