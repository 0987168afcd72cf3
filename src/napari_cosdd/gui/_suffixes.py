"""Endings of the files that napari hands to us; this module loads nothing."""

#: Of a model file, and of a noise model's.
SUFFIX = ".safetensors"
#: Of a bioimage.io package.
PACKAGE = ".bioimageio.zip"
