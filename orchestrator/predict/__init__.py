"""A trained model, loaded as it was and run on recordings."""
