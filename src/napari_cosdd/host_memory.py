"""The free memory of this computer, within the limit of a container or cluster job.

Linux enforces such limits by control groups: a program that exceeds one is killed
without a word, however much memory the machine has.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

ROOT, MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def free_host_bytes() -> int:
    """Return the free memory, or what a control group leaves of it, bytes."""
    free = int(psutil.virtual_memory().available)
    return max(0, min([free, *rooms_of_groups()]))


def rooms_of_groups(root: Path = ROOT, membership: Path = MEMBERSHIP) -> Iterator[int]:
    """Yield the bytes that each control group of this process leaves.

    Parameters
    ----------
    root : Path
        Where control groups are mounted.
    membership : Path
        Names the groups of this process, version 1 and 2.
    """
    with suppress(OSError):
        for line in membership.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                yield from _rooms(root, path, V2)
            elif "memory" in controllers.split(","):
                yield from _rooms(root / "memory", path, V1)


#: Files of a group: limit and use; in its statistics, files in memory that give way.
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
V2 = ("memory.max", "memory.current", "inactive_file")


def _rooms(mount: Path, path: str, names: tuple[str, str, str]) -> Iterator[int]:
    """Yield what a group and those that it is in leave."""
    limit, use, cached = names
    group = mount / path.lstrip("/")
    # in a container, the group's path may be that of the host, and not be there
    for folder in (group, *group.parents):
        with suppress(OSError, ValueError):
            allowed = int((folder / limit).read_text())  # "max" is no number
            used = int((folder / use).read_text())
            lines = (folder / "memory.stat").read_text().splitlines()
            statistics = dict(line.split() for line in lines)
            yield allowed - used + int(statistics.get(cached, 0))
        if folder == mount:
            return
