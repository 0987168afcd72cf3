"""Reading and writing images, splitting them, cutting crops, simulating noise."""
