"""Model files: writing, reading, shipped models, compatibility with images."""
