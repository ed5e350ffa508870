"""The model zoo: a model is a chain of components that can each be swapped."""
