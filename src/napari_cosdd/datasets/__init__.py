"""The training data: pairs of images, their split, crops and summary."""
