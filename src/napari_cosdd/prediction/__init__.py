"""Denoising of whole images: in memory, on demand, on disk, or by a cluster."""
