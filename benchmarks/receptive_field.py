"""The papers' ablation: receptive field too short, right, longer, two-dimensional.

COSDD, section 5.4 and figure 4, at a small scale.
"""

from typing import Any

from rich.console import Console
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.common import JUDGED, problem, save
from benchmarks.quality import filters, final_scores
from napari_cosdd import api
from napari_cosdd.errors import PosteriorCollapseError
from napari_cosdd.methods.cosdd import COSDD
from napari_cosdd.training.recipe import Recipe

LENGTHS = (0, 3, 9, 40, 81)


def run(console: Console, minutes: float, data: str, noise: str) -> None:
    """Train the quick preset once per receptive field; print and save the PSNR."""
    task = problem(data, noise)
    base = filters(task) | {"noisy": round(task.score(task.noisy[0][JUDGED]), 2)}
    save("receptive_field", {f"{task.name}/filters": base})
    for length in [*LENGTHS, "2-D"]:
        recipe = Recipe.preset().changed(
            {
                "noise_axis": task.axis if length else "none",
                "receptive_field": length if isinstance(length, int) else 40,
            },
            {"time_limit": minutes, "max_steps": 10**7, "pretrained": False},
        )
        job = api.prepare_run([api.Image(task.noisy, "SYX")], recipe)
        result = _train(job, full=length == "2-D")
        if isinstance(result, str):
            scores: dict[str, Any] = {"collapsed": result}
        else:
            scores = {
                k: v for k, v in final_scores(task, result).items() if "psnr" in k
            }
        console.print(f"{task.name}, {length}: {scores}", highlight=False)
        save(
            "receptive_field", {f"{task.name}/{length}": scores | {"minutes": minutes}}
        )


def _train(job: api.TrainingJob, full: bool) -> Any:
    """Return the model, or the words of the collapse."""
    if full:
        build = job.build

        def widened() -> COSDD:
            method = build()
            assert isinstance(method, COSDD)
            widen(method)
            return method

        object.__setattr__(job, "build", widened)
    try:
        last: Any = list(job.run())[-1]
    except PosteriorCollapseError as error:
        return str(error)
    return last.result


def widen(method: COSDD) -> None:
    """Let the first causal layer see the rows above, too: the full field of fig. 2b."""
    method.decoder.entry = RasterConv(method.decoder.entry.conv.out_channels)  # type: ignore[assignment]


class RasterConv(nn.Module):
    """A convolution over all pixels before this one in raster order, 7 rows deep.

    Its input has been shifted by one pixel already, so position i holds pixel i - 1.
    """

    reach, dilation = 6, 1

    def __init__(self, n_out: int) -> None:
        super().__init__()
        self.above = nn.Conv2d(1, n_out, (6, 13))
        self.left = nn.Conv2d(1, n_out, (1, 7))

    def forward(self, h: Tensor) -> Tensor:
        """Return features of the size of `h`, (n, 1, rows, x)."""
        unshifted = F.pad(h[..., 1:], (0, 1))
        above = F.pad(unshifted, (6, 6, 6, 0))[..., :-1, :]
        return self.above(above) + self.left(F.pad(h, (6, 0)))
