"""Command-line options, generated from the fields of settings."""

import copy
import inspect
from collections.abc import Callable
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer.core import TyperCommand

from napari_cosdd.methods.registry import DEFAULT, METHODS
from napari_cosdd.settings.fields import default_of, unit_of

Function = Callable[..., None]
#: Present name of each renamed option; former names work for one release.
FORMER = {
    "--mask": "--fill=missing",
    "--fill-missing": "--fill=missing",
    "--part": "--share",
    "--start-from": "--init-model",
    "--views": "--test-time-views",
    "--no-views": "--no-test-time-views",
    "--adapting-rate": "--fine-tuning-rate",
    "--held": "--decoder-only",
    "--half-length": "--receptive-field",
}
#: Key in the command's context for the method whose options the help shows.
_METHOD = "napari_cosdd.method"


class Command(TyperCommand):
    """A command that accepts former option names, with help for one method."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Replace former names by present ones, and note the chosen method."""
        present = [_present(arg) for arg in args]
        ctx.meta[_METHOD] = _chosen_method(present)
        return super().parse_args(ctx, present)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, with the options of the chosen method only."""
        every = self.params
        if any(param.name == "method" for param in every):
            self.params = _params_of(ctx.meta.get(_METHOD, DEFAULT), every)
        try:
            super().format_help(ctx, formatter)
        finally:
            self.params = every


def _present(arg: str) -> str:
    name, equals, value = arg.partition("=")
    if name not in FORMER:
        return arg
    typer.secho(
        f"Note: {name} is called {FORMER[name]} now; the former name will be removed",
        fg="yellow",
        err=True,
    )
    return FORMER[name] + equals + value


def _chosen_method(args: list[str]) -> str:
    for i, arg in enumerate(args):
        name, equals, value = arg.partition("=")
        if name == "--method":
            chosen = value if equals else "".join(args[i + 1 : i + 2])
            return chosen if chosen in METHODS else DEFAULT
    return DEFAULT


def _params_of(name: str, every: list[Any]) -> list[Any]:
    """Return the parameters that a method has, described by its own fields."""
    from napari_cosdd.methods.registry import all_methods, get_method

    method = get_method(name)
    fields = method.Config.model_fields
    others = {f for _, m in all_methods() for f in m.Config.model_fields}
    shown = []
    for param in every:
        if param.name in fields:
            shown.append(
                _described(param, fields[param.name], f"Method {method.title}")
            )
        elif param.name == "preset":
            presets = [
                f"{preset} ({chosen.purpose})" if chosen.purpose else preset
                for preset, chosen in method.presets.items()
            ]
            shown.append(
                _with(param, help=f"{', '.join(presets)}; the first is usual.")
            )
        elif param.name not in others or _is_shared(param):
            shown.append(param)
    return shown


def _is_shared(param: Any) -> bool:
    """Whether an option belongs to the training."""
    from napari_cosdd.settings.training import TrainingConfig

    return param.name in TrainingConfig.model_fields


def _described(param: Any, field: FieldInfo, panel: str) -> Any:
    return _with(param, help=_help(field), rich_help_panel=panel)


def _with(param: Any, **values: Any) -> Any:
    changed = copy.copy(param)
    for name, value in values.items():
        setattr(changed, name, value)
    return changed


def field_options(*kinds: str) -> Callable[[Function], Function]:
    """Replace the `**settings` of a command by one option per field.

    Options that are not given are left out of `settings`, so that the preset applies.

    Parameters
    ----------
    *kinds : {"method", "training", "prediction"}
        Groups of settings whose fields become options.
    """

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        taken = {p.name for p in own}
        added: dict[str, inspect.Parameter] = {}
        for title, config in _configs(kinds):
            for name, field in config.model_fields.items():
                if name not in taken and name not in added:
                    added[name] = _parameter(name, field, title)

        def wrapper(**values: Any) -> None:
            settings = {k: values.pop(k) for k in added}
            given = {k: v for k, v in settings.items() if v is not None}
            function(**values, **given)

        wrapper.__name__, wrapper.__doc__ = function.__name__, function.__doc__
        parameters = [
            p.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for p in (*own, *added.values())
        ]
        wrapper.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
        return wrapper

    return decorate


def _configs(kinds: tuple[str, ...]) -> list[tuple[str, type[BaseModel]]]:
    from napari_cosdd.methods.registry import all_methods
    from napari_cosdd.settings.prediction import PredictionConfig
    from napari_cosdd.settings.training import TrainingConfig

    configs: list[tuple[str, type[BaseModel]]] = []
    if "training" in kinds:
        configs.append(("Training", TrainingConfig))
    if "method" in kinds:
        configs += [(f"Method {m.title}", m.Config) for _, m in all_methods()]
    if "prediction" in kinds:
        configs.append(("Denoising", PredictionConfig))
    return configs


def _parameter(name: str, field: FieldInfo, panel: str) -> inspect.Parameter:
    flag = name.replace("_", "-")
    kind = _plain_type(field.annotation)
    names = [f"--{flag}/--no-{flag}"] if kind is bool else [f"--{flag}"]
    option = typer.Option(
        *names, help=_help(field), rich_help_panel=panel, show_default=False
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )


def _help(field: FieldInfo) -> str:
    unit = f" ({unit_of(field)})" if unit_of(field) else ""
    return f"{field.description}{unit}. (default: {default_of(field)})"


def _plain_type(annotation: Any) -> Any:
    """Return int, float, bool or str; the config checks bounds and choices."""
    if get_origin(annotation) is Literal:
        return str
    choices = [a for a in get_args(annotation) if a is not type(None)]
    return _plain_type(choices[0]) if choices else annotation
