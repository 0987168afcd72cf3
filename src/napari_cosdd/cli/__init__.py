"""The command line: a thin reader of the same events as the docks."""

import sys

from rich.console import Console

# The order of import is that of `napari-cosdd --help`.
from napari_cosdd.cli import analyze, train, denoise  # isort: skip  # noqa: F401
from napari_cosdd.cli import check, cite, evaluate  # isort: skip  # noqa: F401
from napari_cosdd.cli import export, demo  # isort: skip  # noqa: F401
from napari_cosdd.cli._app import app
from napari_cosdd.errors import CosddError, StoppedError


def main() -> None:
    """Run a command; errors of ours become one sentence and exit code 1."""
    try:
        app()
    except StoppedError:
        sys.exit(130)
    except CosddError as error:
        Console(stderr=True).print(f"[red]Error:[/] {error}", highlight=False)
        sys.exit(1)
    except OSError as error:
        Console(stderr=True).print(
            f"[red]Error:[/] a file could not be read or written: {error}",
            highlight=False,
        )
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
