"""The command line, which shows the same events as the docks."""

import sys
from typing import NoReturn

from rich.text import Text

# The order of imports sets the order of commands in `napari-cosdd --help`.
from napari_cosdd.cli import analyze, calibrate, psf, train, denoise, generate  # isort: skip  # noqa: F401
from napari_cosdd.cli import check, cite, evaluate  # isort: skip  # noqa: F401
from napari_cosdd.cli import export, demo  # isort: skip  # noqa: F401
from napari_cosdd.cli._app import app
from napari_cosdd.cli._console import PlainConsole, print_what_can_be
from napari_cosdd.errors import CosddError, StoppedError


def main() -> None:
    """Run a command; an expected error prints one sentence and exits with code 1."""
    print_what_can_be()
    try:
        app()
    except StoppedError:
        sys.exit(130)
    except CosddError as error:
        _complain(str(error))
    except OSError as error:
        _complain(f"a file could not be read or written: {error}")
    except MemoryError as error:
        _complain(f"there is not enough memory: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def _complain(text: str) -> NoReturn:
    console = PlainConsole(stderr=True, highlight=False)
    console.print(Text.assemble(("Error: ", "red"), text))
    sys.exit(1)
