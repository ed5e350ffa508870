"""PANNs."""
