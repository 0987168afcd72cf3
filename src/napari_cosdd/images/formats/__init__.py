"""Image files: one module a format."""
