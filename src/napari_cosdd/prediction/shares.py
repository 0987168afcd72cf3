"""Locks of the shares of one result, on which several processes work at a time."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from napari_cosdd.errors import BadInputError
from napari_cosdd.images.locks import SUFFIX, Lock, holder_of, locked
from napari_cosdd.prediction.request import DenoiseRequest, Share


@contextmanager
def lock_of_share(
    request: DenoiseRequest, share: Share | None
) -> Iterator[tuple[Lock, str | None]]:
    """Hold the lock of a share of a result; None is all of it.

    Raises
    ------
    BadInputError
        If a running process works on the same share, or on shares of another number.
    """
    mine = share or Share()
    partial = request.partial
    name = re.escape(f".{partial.name}-")
    pattern = re.compile(rf"{name}\d+-of-(\d+){re.escape(SUFFIX)}")
    there = list(partial.parent.iterdir()) if partial.parent.is_dir() else []
    for file in there:
        other = pattern.fullmatch(file.name)
        if other and int(other[1]) != mine.count and (holder := holder_of(file)):
            raise BadInputError(
                f"{holder} denoises the same image in shares of {other[1]}, not of "
                f"{mine.count}: wait for it or stop it"
            )
    guarded = partial.with_name(f"{partial.name}-{mine.index}-of-{mine.count}")
    with locked(guarded) as held:
        yield held
