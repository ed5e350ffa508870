"""Training and evaluation in plain PyTorch; knows nothing of Ray, stores or MLflow."""
