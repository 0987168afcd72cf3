"""The denoising methods: one file each, and one line in `registry`."""
