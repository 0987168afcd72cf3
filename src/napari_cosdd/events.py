"""Events of training and denoising: plain, frozen values.

The trainer and the denoiser are generators of these. The command line, the Python
interface and the dock widgets read the same events.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Reason = Literal["completed", "stopped", "time limit", "plateau", "collapsed"]


class Curve(NamedTuple):
    """A loss or metric that is plotted over the steps of a training.

    Attributes
    ----------
    key : str
        Key in the losses.
    title : str
        Text in the plot's legend.
    tab : str
        Tab of the plot that shows it.
    unit : str
        Unit at the plot's axis.
    is_part : bool
        Whether it is a part of another curve, and left out of short lines.
    """

    key: str
    title: str
    tab: str
    unit: str
    is_part: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """Base class of the events of a job."""


@dataclass(frozen=True, slots=True)
class Started(Event):
    """The training is about to take its first step.

    Attributes
    ----------
    device : str
        Device in words, such as "CPU, 2 threads".
    n_parameters : int
        Number of trainable parameters.
    memory : int
        Estimated bytes for training.
    first_step, max_steps : int
        First step (above 0 if resumed), and largest number of steps.
    description : str
        One line on the method, its noise axis and receptive field.
    curves : tuple of Curve
        Losses and metrics to plot over the steps.
    """

    device: str
    n_parameters: int
    memory: int
    first_step: int
    max_steps: int
    description: str
    curves: tuple[Curve, ...] = ()


@dataclass(frozen=True, slots=True)
class StepDone(Event):
    """One optimizer step.

    Attributes
    ----------
    step : int
        Steps done.
    progress : float
        Share of the training done, 0 to 1, by steps or by time.
    losses : mapping
        Objectives and metrics of the step, nats per pixel or squared units.
    learning_rate : float
        Learning rate of this step.
    seconds : float
        Time since training began, including earlier runs.
    remaining : float
        Estimated seconds left.
    """

    step: int
    progress: float
    losses: Mapping[str, float]
    learning_rate: float
    seconds: float
    remaining: float


@dataclass(frozen=True, slots=True)
class Validated(Event):
    """Losses of the averaged weights on the fixed validation crops.

    Attributes
    ----------
    step : int
        Optimizer steps done, as in the other events.
    losses : mapping
        As in `StepDone`, with `loss`, the sum of the objectives.
    best : bool
        Whether these weights are kept as the result so far.
    """

    step: int
    losses: Mapping[str, float]
    best: bool


@dataclass(frozen=True, slots=True)
class Preview(Event):
    """A validation crop, processed with the present weights.

    Attributes
    ----------
    noisy : ndarray, shape (c, *spatial)
        The crop, grey levels.
    images : mapping of str to ndarray, each of the shape of `noisy`
        Images of the method by title, in grey levels; the estimate first.
    """

    step: int
    noisy: NDArray[np.float32]
    images: Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Saved(Event):
    """A model file was written."""

    path: Path
    step: int


@dataclass(frozen=True, slots=True)
class Warned(Event):
    """Something the user should know; the job goes on."""

    message: str


@dataclass(frozen=True, slots=True)
class Finished(Event):
    """Training ended; `result` is the trained model."""

    reason: Reason
    step: int
    result: Any


@dataclass(frozen=True, slots=True)
class TileDone(Event):
    """A tile, or a share of the tiles, is finished and written.

    Attributes
    ----------
    done, total : int
        Number of finished tiles or shares, and number of all.
    seconds, remaining : float
        Time spent, and estimated remaining time.
    """

    done: int
    total: int
    seconds: float
    remaining: float


@dataclass(frozen=True, slots=True)
class Allocated(Event):
    """The arrays of a `Prediction` are allocated; samples will fill them."""

    result: Any


@dataclass(frozen=True, slots=True)
class SampleDone(Event):
    """More samples of a tile are drawn; its mean and deviation are updated.

    Attributes
    ----------
    n_samples, total : int
        Number of samples drawn so far, and number of all.
    """

    n_samples: int
    total: int


@dataclass(frozen=True, slots=True)
class Denoised(Event):
    """Every tile is done; `result` is the `Prediction`."""

    result: Any


@dataclass(frozen=True, slots=True)
class Written(Event):
    """Results are on disk.

    Attributes
    ----------
    paths : tuple of Path
        Image files; empty while other processes have unfinished tiles.
    """

    paths: tuple[Path, ...]
