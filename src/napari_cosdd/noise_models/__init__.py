"""Noise models p(x | s): one module each, listed in `registry`."""
