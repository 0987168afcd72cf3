"""The console: names of files are printed, and never obeyed."""

import errno
import io
import os
import re
import sys
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.text import Text

#: Characters that terminals obey, and halves of pairs that cannot be encoded.
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

#: What Windows calls the writing to a pipe without a reader; others have a name for it.
NO_READER = errno.EINVAL if os.name == "nt" else errno.EPIPE


class PlainConsole(Console):
    """A console that replaces control characters in texts.

    Names of files and texts in them may hold escape sequences. Markup should be off,
    since they may hold brackets, too.

    Attributes
    ----------
    is_cut_off : bool
        Whether nobody reads the output any more, as after `| head`.
    """

    is_cut_off = False

    def print(self, *objects: Any, **settings: Any) -> None:
        """Print texts without control characters."""
        try:
            super().print(*map(_printable, objects), **settings)
        except OSError as error:
            if error.errno != NO_READER:
                raise
            self.on_broken_pipe()

    def on_broken_pipe(self) -> None:
        """Print nothing more, and let the work end in good order."""
        self.is_cut_off = self.quiet = True
        with suppress(OSError, ValueError):  # else Python complains at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_what_can_be() -> None:
    """Let the output replace what its encoding lacks, as Windows' in a pipe does."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return UNPRINTABLE.sub("\ufffd", value)
    if isinstance(value, Text) and UNPRINTABLE.search(value.plain):
        value = value.copy()
        value.plain = UNPRINTABLE.sub("\ufffd", value.plain)
    return value
