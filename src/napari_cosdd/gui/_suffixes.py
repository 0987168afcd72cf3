"""Suffixes of the files that napari passes to this plugin; nothing is imported."""

#: Suffix of a model file and of a noise model file.
SUFFIX = ".safetensors"
#: Suffix of a bioimage.io package.
PACKAGE = ".bioimageio.zip"
