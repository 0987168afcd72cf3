"""Signals that ask a program to end, taken as a wish to stop in good order."""

import signal
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

#: Signals by which Ctrl-C, a cluster or a closed terminal ends a program. Systems lack
#: some of them.
ENDING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


@contextmanager
def stop_on(
    names: Sequence[str], tell: Callable[[], object] = lambda: None
) -> Iterator[Callable[[], bool]]:
    """Yield a predicate that is true after a signal; a second one interrupts.

    Python takes signals in its main thread alone. In another one the predicate is
    never true.

    Parameters
    ----------
    names : sequence of str
        Names of the signals.
    tell : callable
        Called at the first signal.
    """
    pressed = False

    def press(number: int, frame: types.FrameType | None) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True
        tell()

    before = {}
    if threading.current_thread() is threading.main_thread():
        known = [getattr(signal, name) for name in names if hasattr(signal, name)]
        before = {number: signal.signal(number, press) for number in known}
    try:
        yield lambda: pressed
    finally:
        for number, handler in before.items():
            if handler is not None:  # else it is not of Python, and stays unknown
                signal.signal(number, handler)
