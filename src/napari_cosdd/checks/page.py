"""The model check as a page of plots (.png) or as numbers (.json)."""

from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_cosdd.checks.check import ModelCheck
from napari_cosdd.checks.evidence import Evidence
from napari_cosdd.checks.measures import MAX_LAG, Floats
from napari_cosdd.images.files import atomic, write_json
from napari_cosdd.metrics import Coverage
from napari_cosdd.noise_analysis.autocorrelation import Autocorrelation
from napari_cosdd.noise_analysis.signal_dependence import variance_of_residual

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Colour of a finding, by whether it holds.
COLOURS = {True: "#1a7f37", False: "#b35900", None: "0.5"}
REAL, DRAWN, RAW = "#0072b2", "#d55e00", "0.4"
#: Side of the image details that are shown, pixels.
DETAIL = 128


def write_check(path: Path, check: ModelCheck) -> None:
    """Write a check as numbers (.json) or as a page (.png), by the file's suffix."""
    if path.suffix == ".json":
        write_json(path, numbers(check))
        return
    with atomic(path) as temporary:
        figure_of(check).savefig(temporary, dpi=110, format="png")


def numbers(check: ModelCheck) -> dict[str, Any]:
    """Return verdict, findings and scores as plain values."""
    content: dict[str, Any] = {
        "grade": check.grade,
        "verdict": check.verdict,
        "passed": check.passed,
        "findings": [vars(finding) for finding in check.findings],
    }
    if check.scores is not None:
        content["scores"] = check.scores._asdict()
    if check.coverage is not None:
        content["coverage"] = {
            k: v.tolist() for k, v in check.coverage._asdict().items()
        }
    return content


def figure_of(check: ModelCheck) -> "Figure":
    """Draw the page: the verdict, the findings, and plots of the evidence."""
    from matplotlib.figure import Figure

    e = check.evidence
    figure = Figure((15.5, 10), layout="constrained")
    halves: Any = figure.subfigures(1, 2, width_ratios=(1, 2.1))
    left, right = halves
    _write_findings(left, check)
    axes: Any = right.subplots(3, 3)
    _draw_pictures(axes[0], e)
    _draw_profiles(axes[1, 0], e, "x")
    _draw_profiles(axes[1, 1], e, "y")
    _draw_variance(axes[1, 2], e)
    _draw_histogram(axes[2, 0], e)
    _draw_levels(axes[2, 1], e)
    if check.coverage is not None:
        _draw_coverage(axes[2, 2], check.coverage)
    elif e.kl:
        _draw_kl(axes[2, 2], e)
    else:
        axes[2, 2].set_axis_off()
    return figure


def _write_findings(figure: Any, check: ModelCheck) -> None:
    """Write verdict and findings one below the other."""
    from matplotlib.offsetbox import AnchoredOffsetbox, TextArea, VPacker

    def lines(text: str, width: int, **look: Any) -> TextArea:
        return TextArea(fill(text, width), textprops=look)

    color = COLOURS[check.passed]
    parts: list[Artist] = [
        lines(check.grade.capitalize(), 46, size=14, weight="bold", color=color),
        lines(check.verdict, 46, size=11, weight="bold"),
    ]
    if names := check.evidence.trained_on.names:
        trained = f"The model was trained on {', '.join(names[:3])}."
        parts.append(lines(trained, 64, size=8.5, color="0.25"))
    for line in check.against_reference:
        parts.append(lines(line, 52, size=10, weight="bold"))
    for finding in check.findings:
        colour = COLOURS[finding.passed]
        title = lines(finding.heading, 52, size=10, weight="bold", color=colour)
        text = lines(finding.text, 64, size=8.5, color="0.25")
        parts.append(VPacker(children=[title, text], pad=0, sep=3))
    ax = figure.subplots()
    ax.set_axis_off()
    column = VPacker(children=parts, pad=0, sep=9)
    ax.add_artist(AnchoredOffsetbox("upper left", child=column, pad=0, frameon=False))


def _draw_pictures(axes: Any, e: Evidence) -> None:
    """Draw the image, its signal with redrawn noise, and the residual."""
    box = (0, slice(0, DETAIL), slice(0, DETAIL))
    solution = e.solutions[(0, *box)]
    pictures: list[tuple[str, Floats, bool]] = [("the image", e.noisy[box], False)]
    if e.draws_noise:
        pictures.append(("the same signal, redrawn noise", e.redrawn[(0, *box)], False))
    else:
        pictures.append(("the result", solution, False))
    pictures.append(("what was removed", e.noisy[box] - solution, True))
    low, high = np.percentile(e.noisy[box], [0.5, 99.5])
    for ax, (title, image, centred) in zip(axes, pictures, strict=True):
        limits = (low, high) if not centred else (-(high - low) / 2, (high - low) / 2)
        ax.imshow(
            image, "gray", vmin=limits[0], vmax=limits[1], interpolation="nearest"
        )
        ax.set_title(title, fontsize=10)
        ax.set_axis_off()


def _draw_profiles(ax: "Axes", e: Evidence, direction: str) -> None:
    shown: list[tuple[str, Autocorrelation | None, str, str]] = [
        ("raw noise", e.raw.correlation, RAW, ":"),
        ("removed", e.removed, REAL, "-"),
        ("redrawn", e.drawn, DRAWN, "--"),
    ]
    low = 0.0
    for label, correlation, colour, style in shown:
        if correlation is None:
            continue
        profile = correlation.along(direction)[: MAX_LAG + 1]
        low = min(low, 1.1 * float(profile.min()))
        ax.plot(profile, style, marker="o", ms=3, color=colour, label=label)
    ax.axhline(0, color="0.8", lw=0.8)
    ax.set_xticks(range(0, MAX_LAG + 1, 3))
    word = {"x": "a row (x)", "y": "a column (y)"}[direction]
    ax.set(xlabel="lag, px", ylim=(min(-0.15, low), 1.05))
    ax.set_title(f"autocorrelation along {word}", fontsize=10)
    ax.legend(fontsize=8)


def _noises(e: Evidence) -> list[tuple[str, Floats, str, str]]:
    """Return label, noise, colour and style of the real and of the redrawn noise."""
    noises = [("removed", e.residuals, REAL, "-")]
    if e.draws_noise:
        noises.append(("redrawn", e.model_noise, DRAWN, "--"))
    return noises


def _draw_variance(ax: "Axes", e: Evidence) -> None:
    for label, noise, colour, style in _noises(e):
        dependence = variance_of_residual(e.solutions[: len(noise)], noise)
        ax.plot(
            dependence.signal, dependence.variance, style, color=colour, label=label
        )
    ax.set_title("variance of the noise", fontsize=10)
    ax.set(xlabel="signal, normalized")
    ax.set_ylim(bottom=0)
    ax.legend(fontsize=8)


def _draw_histogram(ax: "Axes", e: Evidence) -> None:
    spread = 4 * float(e.residuals.std())
    bins = np.linspace(-spread, spread, 81)
    for label, noise, colour, style in _noises(e):
        heights, _ = np.histogram(noise, bins, density=True)
        ax.plot(0.5 * (bins[1:] + bins[:-1]), heights, style, color=colour, label=label)
    ax.set_title("histogram of the noise", fontsize=10)
    ax.set(xlabel="grey levels, normalized", yticks=[])
    ax.set_ylim(bottom=0)
    ax.legend(fontsize=8)


def _draw_levels(ax: "Axes", e: Evidence) -> None:
    levels, means = e.biases
    ax.axhline(0, color="0.8", lw=0.8)
    ax.plot(levels, means, "o-", ms=3, color=REAL)
    ax.set_title("mean of what was removed, in its deviations", fontsize=10)
    ax.set(
        xlabel="signal, normalized",
        ylim=(
            min(-0.3, 1.1 * min(means, default=0)),
            max(0.3, 1.1 * max(means, default=0)),
        ),
    )


def _draw_kl(ax: "Axes", e: Evidence) -> None:
    ax.bar(range(1, len(e.kl) + 1), e.kl, color=REAL)
    ax.set_title("information in the latents (KL)", fontsize=10)
    ax.set(
        xlabel="level, finest first",
        ylabel="nats per pixel",
        xticks=range(1, len(e.kl) + 1),
    )


def _draw_coverage(ax: "Axes", found: Coverage) -> None:
    ax.plot([0, 1], [0, 1], color="0.8", lw=0.8)
    ax.plot(found.nominal, found.measured, "o-", ms=3, color=REAL)
    ax.set_title("calibration", fontsize=10)
    ax.set(
        xlabel="interval of the samples",
        ylabel="truth within",
        xlim=(0, 1),
        ylim=(0, 1),
    )
