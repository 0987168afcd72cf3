"""The model check: a verdict on a result, without ground truth."""

from dataclasses import dataclass
from functools import cached_property

from napari_cosdd.checks.evidence import Evidence
from napari_cosdd.checks.finding import Finding
from napari_cosdd.checks.findings import all_findings
from napari_cosdd.metrics import Coverage, Scores, score
from napari_cosdd.models.compatibility import Grade

#: Names of findings without which a result is no image of the sample.
GRAVE = frozenset({"axis", "latents", "structure", "centred"})
#: Number of any findings that weigh as much as a grave one.
MANY = 4
#: Intervals of the posterior whose coverage is reported.
INTERVALS = (0.5, 0.8, 0.95)


@dataclass(frozen=True)
class ModelCheck:
    """Findings with their evidence, and the verdict.

    Attributes
    ----------
    findings : tuple of Finding
        Findings; those that explain others come first.
    evidence : Evidence
        Measurements that the findings rest on.
    """

    findings: tuple[Finding, ...]
    evidence: Evidence

    def __repr__(self) -> str:
        return f"ModelCheck({self.grade}: {self.verdict})"

    @classmethod
    def of(cls, evidence: Evidence) -> "ModelCheck":
        """Judge the evidence."""
        return cls(tuple(all_findings(evidence)), evidence)

    @property
    def coverage(self) -> Coverage | None:
        """How often the reference lies in the posterior's intervals."""
        return self.evidence.coverage

    @cached_property
    def scores(self) -> Scores | None:
        """PSNR and SSIM of the mean against the reference."""
        e = self.evidence
        return None if e.reference is None else score(e.solutions.mean(0), e.reference)

    @property
    def against_reference(self) -> tuple[str, ...]:
        """Scores and coverage in words; empty without a reference."""
        lines = []
        if self.scores is not None:
            n, *_, height, width = self.evidence.solutions.shape
            lines.append(
                f"PSNR {self.scores.psnr:.2f} dB, SSIM {self.scores.ssim:.3f} of the "
                f"mean of {n} samples, in the middle {height} × {width} px"
            )
        if self.coverage is not None:
            nominal = ", ".join(f"{100 * p:.0f}" for p in INTERVALS)
            shares = ", ".join(f"{100 * self.coverage.at(p):.0f}" for p in INTERVALS)
            lines.append(
                f"In the samples' {nominal} % intervals lie {shares} % of the reference"
            )
        return tuple(lines)

    @property
    def failed(self) -> tuple[Finding, ...]:
        """Findings that do not hold."""
        return tuple(f for f in self.findings if f.passed is False)

    @property
    def passed(self) -> bool:
        """Whether no finding speaks against the result."""
        return not self.failed

    @property
    def grade(self) -> Grade:
        """What to make of the result, in a word."""
        if any(f.name in GRAVE for f in self.failed) or len(self.failed) >= MANY:
            return "do not use"
        return "no objection" if self.passed else "use with care"

    @property
    def verdict(self) -> str:
        """The verdict in plain words, with a remedy."""
        judged = [f for f in self.findings if f.passed is not None]
        if self.passed:
            return f"Nothing speaks against this result ({len(judged)} checks)."
        first = self.failed[0]
        return (
            f"{len(self.failed)} of {len(judged)} checks want a look. The first: "
            f"“{first.title}” does not hold. {first.remedy}"
        )
