"""Pictures of the insides of trained arms, for the report and MLflow."""
