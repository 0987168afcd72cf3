"""Training: settings, the loop, weight averaging, model files."""
