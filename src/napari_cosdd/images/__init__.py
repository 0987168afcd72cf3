"""Images: axes, stacks, normalization, units, and what users hand in."""
