"""Benchmarks: one command each, JSON with the machine's description."""
