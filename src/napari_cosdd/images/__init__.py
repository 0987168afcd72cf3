"""Images: axes, stacks, normalization, units, and conversion of user input."""
