"""The MLflow view of a store."""
