"""Command-line options made from the fields of the configs: one source of truth."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from napari_cosdd.settings.fields import default_of, unit_of

Command = Callable[..., None]


def field_options(*kinds: str) -> Callable[[Command], Command]:
    """Replace `**settings` of a command by one option per field of these configs.

    An option that is not given stays out of `settings`: the preset decides.
    """

    def decorate(command: Command) -> Command:
        signature = inspect.signature(command)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        taken = {p.name for p in own}
        made: dict[str, inspect.Parameter] = {}
        for title, config in _configs(kinds):
            for name, field in config.model_fields.items():
                if name not in taken and name not in made:
                    made[name] = _parameter(name, field, title)

        def wrapper(**values: Any) -> None:
            settings = {k: values.pop(k) for k in made}
            given = {k: v for k, v in settings.items() if v is not None}
            command(**values, **given)

        wrapper.__name__, wrapper.__doc__ = command.__name__, command.__doc__
        parameters = [
            p.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for p in (*own, *made.values())
        ]
        wrapper.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
        return wrapper

    return decorate


def _configs(kinds: tuple[str, ...]) -> list[tuple[str, type[BaseModel]]]:
    from napari_cosdd.methods import METHODS, get_method
    from napari_cosdd.settings.prediction import PredictionConfig
    from napari_cosdd.settings.training import TrainingConfig

    configs: list[tuple[str, type[BaseModel]]] = []
    if "training" in kinds:
        configs.append(("Training", TrainingConfig))
    if "method" in kinds:
        methods = [get_method(name) for name in METHODS]
        configs += [(f"Method {m.title}", m.Config) for m in methods]
    if "inference" in kinds:
        configs.append(("Denoising", PredictionConfig))
    return configs


def _parameter(name: str, field: FieldInfo, panel: str) -> inspect.Parameter:
    flag = name.replace("_", "-")
    unit = f" ({unit_of(field)})" if unit_of(field) else ""
    default = default_of(field)
    kind = _plain_type(field.annotation)
    names = [f"--{flag}/--no-{flag}"] if kind is bool else [f"--{flag}"]
    option = typer.Option(
        *names,
        help=f"{field.description}{unit}. (default: {default})",
        rich_help_panel=panel,
        show_default=False,
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )


def _plain_type(annotation: Any) -> Any:
    """Return int, float, bool or str: bounds and choices are checked by the config."""
    if get_origin(annotation) is Literal:
        return str
    choices = [a for a in get_args(annotation) if a is not type(None)]
    return _plain_type(choices[0]) if choices else annotation
