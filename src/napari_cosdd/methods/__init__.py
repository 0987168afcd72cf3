"""The denoising methods: one module each, listed in `registry`."""
