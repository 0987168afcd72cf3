"""What to cite for the methods."""

from typing import NamedTuple


class Paper(NamedTuple):
    """What to cite."""

    text: str
    doi: str

    def __str__(self) -> str:
        return f"{self.text} doi:{self.doi}"


COSDD = Paper(
    "B. Salmon and A. Krull, Unsupervised Denoising for Signal-Dependent and "
    "Row-Correlated Imaging Noise, WACV 2025.",
    "10.48550/arXiv.2310.07887",
)
N2V = Paper(
    "A. Krull, T.-O. Buchholz and F. Jug, Noise2Void - Learning Denoising from "
    "Single Noisy Images, CVPR 2019.",
    "10.1109/CVPR.2019.00223",
)
SN2V = Paper(
    "C. Broaddus, A. Krull, M. Weigert, U. Schmidt and G. Myers, Removing "
    "Structured Noise with Self-Supervised Blind-Spot Networks, ISBI 2020.",
    "10.1109/ISBI45749.2020.9098336",
)
