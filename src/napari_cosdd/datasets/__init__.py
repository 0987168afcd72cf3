"""What a training learns from: pairs of images, crops, their split and summary."""
