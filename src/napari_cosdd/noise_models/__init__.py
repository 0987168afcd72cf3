"""Noise models p(x | s): one file each, and one line in `registry`."""
