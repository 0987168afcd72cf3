"""Messages of the engine in the words of the docks."""

from collections.abc import Mapping

from napari_cosdd.remedies import Remedy

#: What the docks offer. Fill and Grid are in the docks of training and denoising, and
#: the Noise dock names them, too.
WORDS: Mapping[Remedy, str] = {
    Remedy.AXES: "Axes",
    Remedy.BOOTSTRAP: "Noise dock: Calibrate the camera, its mean as the clean image",
    Remedy.CALIBRATE: "Noise dock: Calibrate the camera",
    Remedy.CHANNEL: "Channels",
    Remedy.DEVICE_CPU: "Advanced → Device cpu",
    Remedy.DIRECT_DENOISER: "Direct denoiser",
    Remedy.FILL_MISSING: "Train or Denoise dock: Advanced → Fill",
    Remedy.FILL_OUTLIERS: "Train or Denoise dock: Advanced → Fill",
    Remedy.FRAMES: "Seen in: repeated frames",
    Remedy.GO_ON: "go on with it in the Train dock",
    Remedy.GRID: "Train dock: Advanced → Grid",
    Remedy.IN_MEMORY: "denoise them in a layer",
    Remedy.INIT_MODEL: "Start",
    Remedy.KEEP_BRIGHTNESS: "set Advanced → Keep brightness to 0",
    Remedy.ON_DISK: "with the command line",
    Remedy.OVERWRITE: "choose another folder",
    Remedy.PSF: "PSF, Find…",
    Remedy.REGION: "Seen in: a rectangle",
    Remedy.REPLACE: "with the command line",
    Remedy.RESUME: "train again from the last save",
    Remedy.SALVAGE: "with the command line",
}


def in_dock_words(text: str) -> str:
    """Return a message with what the docks offer in place of options."""
    for remedy, words in WORDS.items():
        text = text.replace(remedy, words)
    return text
