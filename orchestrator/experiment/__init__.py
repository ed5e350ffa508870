"""What decides the numbers of a trial: its settings, their identity, overrides."""
