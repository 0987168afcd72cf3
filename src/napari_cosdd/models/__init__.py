"""Model files: written, read, shipped, and held against images."""
