"""The model check: whether a result is right, told without ground truth."""

from collections.abc import Callable
from dataclasses import dataclass

from napari_cosdd.data.image import Image
from napari_cosdd.metrics import Coverage, Scores, coverage, score
from napari_cosdd.training.checkpoint import TrainedModel
from napari_cosdd.trust.evidence import Evidence, gather
from napari_cosdd.trust.findings import Finding, all_findings


@dataclass(frozen=True)
class ModelCheck:
    """What was found, and what it means.

    Attributes
    ----------
    findings : tuple of Finding
        What explains other failures comes first.
    evidence : Evidence
        What they rest on.
    """

    findings: tuple[Finding, ...]
    evidence: Evidence

    @property
    def coverage(self) -> Coverage | None:
        """How often the reference lies in the posterior's intervals."""
        e = self.evidence
        if e.reference is None or len(e.solutions) < 2:
            return None
        return coverage(e.solutions, e.reference)

    @property
    def scores(self) -> Scores | None:
        """PSNR and SSIM of the mean against the reference."""
        e = self.evidence
        return None if e.reference is None else score(e.solutions.mean(0), e.reference)

    @property
    def failed(self) -> tuple[Finding, ...]:
        """What does not hold."""
        return tuple(f for f in self.findings if f.passed is False)

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against the result."""
        return not self.failed

    @property
    def verdict(self) -> str:
        """The same in plain words, with what to do."""
        judged = [f for f in self.findings if f.passed is not None]
        if self.passed:
            return f"Nothing speaks against this result ({len(judged)} checks)."
        first = self.failed[0]
        return (
            f"{len(self.failed)} of {len(judged)} checks want a look. The first: "
            f"“{first.title}” does not hold. {first.remedy}"
        )


def check_model(
    model: TrainedModel,
    image: Image,
    *,
    reference: Image | None = None,
    mask: bool = False,
    device: str = "auto",
    stop: Callable[[], bool] = lambda: False,
) -> ModelCheck:
    """Check what a model makes of an image, without ground truth.

    Parameters
    ----------
    model : TrainedModel
        What was learned.
    image : Image
        Noisy; its busiest part of up to 512 × 512 pixels is looked at.
    reference : Image, optional
        Clean image of the same scene, in the same grey levels: gives PSNR, SSIM and
        how often it lies in the posterior's intervals.
    mask : bool
        Fill pixels that are not finite.
    device : str
        Where to compute.
    stop : callable
        Polled between the parts of the work.

    Raises
    ------
    BadInputError, BadModelFileError, StoppedError
        As `gather` does.
    """
    evidence = gather(
        model, image, reference=reference, mask=mask, device=device, stop=stop
    )
    return ModelCheck(tuple(all_findings(evidence)), evidence)
