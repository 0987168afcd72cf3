"""What a user can do, as the command line and Python call it.

Messages name a way out by one of these; the docks say in its place what they offer.
"""

from enum import StrEnum


class Remedy(StrEnum):
    """A way out that a message names: options of commands, and keywords of Python."""

    AXES = "--axes, axes="
    BOOTSTRAP = "napari-cosdd calibrate --model"
    CALIBRATE = "napari-cosdd calibrate, then --noise-model, noise_model="
    CHANNEL = "--channel, channel="
    DEVICE_CPU = "--device cpu, device='cpu'"
    DIRECT_DENOISER = "--direct-denoiser, direct_denoiser=True"
    FILL_MISSING = "--fill missing, fill='missing'"
    FILL_OUTLIERS = "--fill outliers, fill='outliers'"
    FRAMES = "--frames, frames=True"
    GO_ON = "go on with it (--resume, resume=True)"
    GRID = "--grid, grid="
    IN_MEMORY = "use --format tif or npy"
    INIT_MODEL = "--init-model, init_model="
    KEEP_BRIGHTNESS = "leave out --keep-brightness, keep_brightness="
    ON_DISK = "--format zarr"
    OVERWRITE = "choose another name or folder, or --overwrite, overwrite=True"
    PSF = "napari-cosdd psf"
    REGION = "--region, region="
    REPLACE = "by --overwrite, overwrite=True"
    RESUME = "go on from the last save with --resume, resume=True"
    SALVAGE = "--salvage, salvage=True"
