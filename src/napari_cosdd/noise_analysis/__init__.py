"""What the noise of an image is like; names no method."""
