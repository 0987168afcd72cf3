"""Formatting of times and amounts of memory."""


def duration(seconds: float) -> str:
    """Say a time: "20 s", "4 min", "2 h 10 min", "3 days"."""
    if seconds < 90:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 10:
        return f"{hours} h {minutes} min"
    if hours < 48:
        return f"{hours} h"
    return f"{round(hours / 24)} days"


def clock(seconds: float) -> str:
    """Show a remaining time: "1:50" or "2:03:10"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def memory(n_bytes: float) -> str:
    """Say an amount of memory in GB."""
    return f"{n_bytes / 2**30:.1f} GB"


def grey_level(value: float) -> str:
    """Return a grey level as people say it: whole from 100 on, else three digits."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
