"""Prediction: tiles, latent noise by position, running moments, the denoiser."""
