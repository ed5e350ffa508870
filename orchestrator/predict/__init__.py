"""A trained model, loaded as it was, run on recordings and exported."""
