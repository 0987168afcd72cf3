"""Models in the format of bioimage.io, out and in again."""
