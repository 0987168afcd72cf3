"""Denoising of microscope images whose noise runs along rows or columns.

COSDD (Salmon & Krull, WACV 2025) as a napari plugin, a command and a library.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_cosdd._version import __version__

if TYPE_CHECKING:
    from napari_cosdd.api import (
        analyze,
        calibrate,
        check,
        denoise,
        fit,
        load,
        recommend,
    )

__all__ = [
    "__version__",
    "analyze",
    "calibrate",
    "check",
    "denoise",
    "fit",
    "load",
    "recommend",
]


def __dir__() -> list[str]:
    """Name the interface before it is loaded, too, for completion."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """Load the interface at first use: importing the package loads no torch."""
    if name in __all__:
        return getattr(import_module("napari_cosdd.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
