"""Whole images denoised: in memory, where looked at, on disk, by a cluster."""
