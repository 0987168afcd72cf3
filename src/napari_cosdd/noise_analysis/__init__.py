"""Analysis of the noise of an image, independent of any method."""
