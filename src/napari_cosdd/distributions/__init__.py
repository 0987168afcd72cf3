"""Probability only: densities and their divergences, no layers and no training."""
