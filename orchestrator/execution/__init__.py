"""From a plan to finished trials: preparation, checks before launch, Ray Tune and Ray Train."""
