"""The stored results as Markdown tables, for docs/measurements.md."""

import json
from typing import Any

from benchmarks.common import RESULTS


def quality_table() -> str:
    """Return PSNR of filters and methods, a row per problem."""
    results = _load("quality")
    head = ["images / noise", "noisy", "best TV", "best blur (σy, σx)"]
    head += ["BM3D, true spectrum", "N2V", "SN2V"]
    head += ["COSDD sample", "COSDD", "COSDD 5 min", "random start 5 min"]
    head += ["supervised 5 min", "share of the room"]
    rows = [head, ["---"] * len(head)]
    for name in sorted({"/".join(k.split("/")[:2]) for k in results}):
        rows.append(_row(name, results))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _row(name: str, results: dict[str, Any]) -> list[str]:
    base = results[f"{name}/filters"]
    found = {
        m: results.get(f"{name}/{m}", {})
        for m in (
            "n2v",
            "sn2v",
            "cosdd",
            "cosdd/own length",
            "cosdd-cold",
            "supervised",
        )
    }
    own = found["cosdd/own length"]
    mean, ceiling = own.get("psnr"), found["supervised"].get("psnr")
    share = "–"
    if mean is not None and ceiling is not None:
        share = _share(mean, base["blur"], ceiling)
    widths = ", ".join(map(str, base["blur_yx"]))
    return [
        name,
        f"{base['noisy']:.2f}",
        f"{base['tv']:.2f}",
        f"{base['blur']:.2f} ({widths})",
        _number(base.get("bm3d")),
        *(_number(found[m].get("psnr")) for m in ("n2v", "sn2v")),
        _number(own.get("psnr_single")),
        _number(mean),
        _number(found["cosdd"].get("psnr")),
        _number(found["cosdd-cold"].get("psnr")),
        _number(ceiling),
        share,
    ]


def _share(mean: float, blur: float, ceiling: float) -> str:
    """Say how much of the way from the best blur to the ceiling was taken."""
    if mean > ceiling:
        return "above it"
    if mean < blur:
        return "below the blur"
    return f"{100 * (mean - blur) / (ceiling - blur):.0f} % of {ceiling - blur:.2f} dB"


def times() -> str:
    """Return after how many seconds COSDD was above the blur, and took the room.

    By the curves, of 16 samples, so a little later than with the mean of 100.
    """
    results = _load("quality")
    head = ["images / noise / seed", "above the best blur"]
    head += ["half of the room", "three quarters", "above the supervised", "end"]
    rows = [head, ["---"] * len(head)]
    for name in sorted(k for k in results if "/cosdd/" in k and "own" in k):
        problem = "/".join(name.split("/")[:2])
        ceiling = results.get(f"{problem}/supervised", {}).get("psnr")
        blur, curve = results[f"{problem}/filters"]["blur"], results[name]["curve"]
        seed = next((p[4:] for p in name.split("/") if p.startswith("seed")), "0")
        row = [f"{problem}/{seed}", _reached(curve, blur)]
        for share in (0.5, 0.75, 1.0):
            goal = None if ceiling is None else blur + share * (ceiling - blur)
            row.append(_reached(curve, goal))
        rows.append([*row, f"{curve[-1][0]} s"])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _reached(curve: list[tuple[float, float]], goal: float | None) -> str:
    """Return the first second from which on a curve stays above a goal."""
    if goal is None:
        return "–"
    below = [i for i, (_, p) in enumerate(curve) if p <= goal]
    after = below[-1] + 1 if below else 0
    return f"{curve[after][0]} s" if after < len(curve) else "not"


def curves() -> str:
    """Return PSNR over time, a line per trained method."""
    lines = []
    for name, result in sorted(_load("quality").items()):
        if "curve" in result:
            points = "  ".join(f"{s} s {p:.1f}" for s, p in result["curve"])
            lines.append(f"    {name:28} {points}")
    return "\n".join(lines)


def _load(name: str) -> dict[str, Any]:
    results: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return results["results"]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
