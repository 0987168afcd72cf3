"""Messages of the engine, which name options of the command line, in dock words."""

import re

#: What a message says of the command line or of Python, and what a dock has for it.
WORDS = (
    (r"choose another name or folder, or --overwrite", "choose another folder"),
    (r"--fill (missing|outliers) \(Advanced, Fill\)", "Advanced → Fill"),
    (r"--fill missing \(fill='missing'\)", "Advanced → Fill in the Train dock"),
    (r"--fill missing, fill='missing'", "Train dock: Advanced → Fill"),
    (r"on each channel alone \(--channel\)", "on each channel alone (Channels)"),
    (r"\((\w+), --axes \w+\)", r"\1"),
    (r"--grid (\d+) \(Advanced, Grid\)", r"Advanced → Grid \1"),
    (r"a dark region \(--region\)", "a dark region (Seen in: a rectangle)"),
    (r"\(Frames, --frames\)", "(Seen in: repeated frames)"),
    (
        r"measure one with `napari-cosdd calibrate`, and give it with --noise-model"
        r"( \(noise_model=\))?",
        "measure one in the Noise dock (Calibrate the camera)",
    ),
    (
        r"\(napari-cosdd calibrate, --model\)",
        "in the Noise dock (Calibrate the camera, its mean as the clean image)",
    ),
    (r"`napari-cosdd psf` finds it", "PSF, Find… gives it"),
    (r"OME-Zarr \(--format zarr\)", "OME-Zarr with the command line"),
    (r"use --format tif or npy", "denoise them in a layer"),
    (r"leave out --keep-brightness", "set Advanced → Keep brightness to 0"),
    (r"train again with --direct-denoiser", "train again with Direct denoiser on"),
    (r"with --salvage \(salvage=True\)", "with the command line (salvage)"),
    (r"with --device cpu if it", "with Advanced → Device cpu if it"),
    (r"go on from the last save with --resume", "train again from the last save"),
    (r"--init-model starts a new one", "choose it under Start for a new one"),
)


def in_dock_words(text: str) -> str:
    """Return a message with what a dock offers in place of options."""
    for pattern, words in WORDS:
        text = re.sub(pattern, words, text)
    return text
