"""Pictures of what trained arms do inside, for the report and for MLflow."""
