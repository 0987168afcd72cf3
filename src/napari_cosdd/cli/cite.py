"""`napari-cosdd cite`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from napari_cosdd.cli._app import app
from napari_cosdd.cli._options import Command, field_options


@app.command(cls=Command)
@field_options("prediction")
def cite(
    model: Annotated[Path, typer.Argument(help="Model file from train.")],
    **settings: Any,
) -> None:
    """Print a methods paragraph for a paper, with what to cite."""
    from napari_cosdd import api
    from napari_cosdd.checks.methods_paragraph import methods_paragraph

    typer.echo(
        methods_paragraph(api.load(model), api.PredictionConfig.from_values(settings))
    )
