"""Pictures for the command line: a noise report, and a denoised image at a glance."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_cosdd.errors import BadInputError
from napari_cosdd.images.files import atomic, check_output, write_json
from napari_cosdd.methods.advice import advise
from napari_cosdd.noise_analysis.autocorrelation import Autocorrelation, autocorrelation
from napari_cosdd.noise_analysis.report import NoiseReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Largest lag in a picture, pixels; correlations beyond are mostly near zero.
SHOWN = 12


def check_report(path: Path | None, overwrite: bool) -> None:
    """Validate the path of a report.

    Raises
    ------
    BadInputError
        If it is neither .json nor .png, or exists and may not be overwritten.
    """
    if path is None:
        return
    if path.suffix not in (".json", ".png"):
        raise BadInputError(f"{path.name}: expected .json or .png")
    check_output(path, overwrite)


def write_report(path: Path, found: NoiseReport) -> None:
    """Write a noise report as numbers (.json) or as a picture (.png)."""
    if path.suffix == ".json":
        write_json(path, _numbers(found))
    else:
        _save(_report_figure(found), path)


def _numbers(found: NoiseReport) -> dict[str, Any]:
    facts, correlation = found.facts, found.correlation
    return {
        "source": found.source,
        "axis": facts.axis,
        "receptive_field": facts.receptive_field,
        "fits": facts.is_clear,
        "sentence": advise(facts),
        "standard_error": correlation.standard_error,
        "along_x": correlation.along_x.tolist(),
        "along_y": correlation.along_y.tolist(),
        "signal": found.dependence.signal.tolist(),
        "variance": found.dependence.variance.tolist(),
    }


def _report_figure(found: NoiseReport) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure((10.5, 3.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    _draw_map(left, found.correlation, "autocorrelation of the noise")
    _draw_profiles(middle, found.correlation)
    right.plot(found.dependence.signal, found.dependence.variance, "o-", ms=3)
    right.set(xlabel="signal, grey levels", ylabel="variance of the noise")
    right.set_ylim(bottom=0)
    figure.suptitle(advise(found.facts), fontsize=9, wrap=True)
    return figure


def write_overview(
    path: Path,
    noisy: NDArray[Any],
    mean: NDArray[Any],
    deviation: NDArray[Any],
    samples: NDArray[Any],
    before: Autocorrelation,
) -> None:
    """Write noisy | mean | two samples | deviation | autocorrelation, one picture.

    Parameters
    ----------
    noisy, mean, deviation : ndarray, shape (y, x)
        Grey levels.
    samples : ndarray, shape (at least 2, y, x)
        Posterior samples.
    before : Autocorrelation
        Autocorrelation of the raw noise; that of the residual is drawn beside it.
    """
    from matplotlib.colors import PowerNorm
    from matplotlib.figure import Figure

    figure = Figure((13, 6.8), layout="constrained")
    rows: Any = figure.subfigures(2, 1, height_ratios=(1, 1.2))
    axes = np.stack([row.subplots(1, 4) for row in rows])
    box = _detail(mean)
    low, high = np.percentile(mean[box], [0.5, 99.8])
    # A square root brightens the dark parts, where the noise can be seen.
    brightness = PowerNorm(0.5, low, high, clip=True)
    style = {"cmap": "gray", "norm": brightness, "interpolation": "nearest"}
    for ax, image, title in (
        (axes[0, 0], noisy, "noisy"),
        (axes[0, 1], mean, "mean of the samples (MMSE)"),
        (axes[0, 2], samples[0], "sample 1"),
        (axes[0, 3], samples[1], "sample 2"),
    ):
        ax.imshow(image[box], **style)
        ax.set_title(title, fontsize=10)
        ax.set_axis_off()
    picture = axes[1, 0].imshow(deviation[box], cmap="magma", interpolation="nearest")
    axes[1, 0].set_title("deviation (grey levels)", fontsize=10)
    axes[1, 0].set_axis_off()
    inside = axes[1, 0].inset_axes((0.93, 0.03, 0.04, 0.5))
    scale = figure.colorbar(picture, cax=inside)
    scale.ax.yaxis.set_ticks_position("left")
    scale.ax.tick_params(colors="white", labelsize=8)
    residual = noisy.astype(np.float64) - mean
    after = autocorrelation([residual], before.max_lag)
    spread = np.percentile(np.abs(residual[box]), 99)
    axes[1, 1].imshow(
        residual[box], cmap="gray", vmin=-spread, vmax=spread, interpolation="nearest"
    )
    axes[1, 1].set_title("residual: noisy - mean", fontsize=10)
    axes[1, 1].set_axis_off()
    _draw_map(axes[1, 2], before, "autocorrelation: raw noise")
    _draw_map(axes[1, 3], after, "autocorrelation: residual")
    _save(figure, path)


def _detail(image: NDArray[Any], size: int = 160) -> tuple[slice, slice]:
    """Return the box with the most contrast on the displayed brightness scale."""
    image = np.sqrt(image - image.min())
    best, where = -1.0, (0, 0)
    height, width = image.shape
    for y in range(0, max(1, height - size + 1), size // 2):
        for x in range(0, max(1, width - size + 1), size // 2):
            spread = float(image[y : y + size, x : x + size].std())
            if spread > best:
                best, where = spread, (y, x)
    return slice(where[0], where[0] + size), slice(where[1], where[1] + size)


def _draw_map(ax: "Axes", found: Autocorrelation, title: str) -> None:
    centre = found.max_lag
    lag = min(SHOWN, centre)
    part = slice(centre - lag, centre + lag + 1)
    image = ax.imshow(
        found.values[part, part],
        cmap="RdBu_r",
        vmin=-1,
        vmax=1,
        extent=(-lag - 0.5, lag + 0.5, lag + 0.5, -lag - 0.5),
    )
    x, y = found.along_x[1:4], found.along_y[1:4]
    numbers = [" ".join(f"{v:.2f}" for v in p) for p in (x, y)]
    ax.set_title(f"{title}\nrow {numbers[0]}\ncolumn {numbers[1]}", fontsize=9)
    ax.set(xlabel="lag x (px)", ylabel="lag y (px)")
    ax.figure.colorbar(image, ax=ax, fraction=0.046, ticks=[-1, 0, 1])


def _draw_profiles(ax: "Axes", found: Autocorrelation) -> None:
    for name, profile in (("row", found.along_x), ("column", found.along_y)):
        ax.plot(np.arange(len(profile)), profile, "o-", ms=3, label=f"along a {name}")
    band = 2 * found.standard_error
    ax.axhspan(-band, band, color="0.85", label="2 standard errors")
    ax.set(xlabel="lag, px", ylabel="autocorrelation")
    ax.legend(fontsize=8)


def _save(figure: "Figure", path: Path) -> None:
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
