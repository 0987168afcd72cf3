"""A recipe: method, its settings and those of the training, as one file to edit."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from napari_cosdd.errors import BadInputError, BadModelFileError, in_words
from napari_cosdd.images.files import atomic
from napari_cosdd.methods import get_method
from napari_cosdd.methods.base import MethodConfig
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.settings.training import TrainingConfig
from napari_cosdd.training.resume import load_state, resume_path


class Recipe(BaseModel):
    """All settings that make a model, apart from the images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str = "cosdd"
    settings: dict[str, Any] = {}
    training: TrainingConfig = TrainingConfig()

    @classmethod
    def preset(cls, method: str = "cosdd", preset: str = "quick") -> "Recipe":
        """Return the recipe of a preset.

        Raises
        ------
        BadInputError
            If there is no such method or preset.
        """
        presets = get_method(method).presets
        if preset not in presets:
            raise BadInputError(
                f"method {method} has no preset {preset!r}; expected one of "
                f"{', '.join(presets)}"
            )
        parts = presets[preset]
        return cls(method=method).changed(parts["method"], parts["training"])

    def changed(self, settings: Any = None, training: Any = None) -> "Recipe":
        """Return a copy with some settings changed, all of them checked.

        Raises
        ------
        BadInputError
            If a setting is unknown or out of bounds.
        """
        kind = get_method(self.method).Config
        try:
            method = kind.model_validate({**self.settings, **(settings or {})})
            train = TrainingConfig.model_validate(
                {**self.training.model_dump(), **(training or {})}
            )
        except ValidationError as error:
            known = [*kind.model_fields, *TrainingConfig.model_fields]
            raise BadInputError(in_words(error, known)) from error
        return Recipe(method=self.method, settings=method.model_dump(), training=train)

    @property
    def method_config(self) -> MethodConfig:
        """The method's settings in their own type."""
        return get_method(self.method).Config.model_validate(self.settings)

    def write(self, path: Path) -> None:
        """Write the recipe as JSON, to be edited and used again."""
        with atomic(path) as temporary:
            temporary.write_text(
                self.model_dump_json(indent=2) + "\n", encoding="utf-8"
            )

    @classmethod
    def read(cls, path: Path) -> "Recipe":
        """Read a recipe.

        Raises
        ------
        BadInputError
            If it cannot be read, or a setting is unknown or out of bounds.
        """
        try:
            recipe = cls.model_validate_json(path.read_text(encoding="utf-8"))
        except ValidationError as error:
            raise BadInputError(f"{path.name}: {in_words(error)}") from error
        except (OSError, UnicodeDecodeError) as error:
            raise BadInputError(f"{path} cannot be read: {error}") from error
        return recipe.changed()


def resumed(model: Path) -> tuple[Recipe, TrainedModel | None]:
    """Return what the unfinished training beside a model file was begun with.

    Returns
    -------
    recipe : Recipe
        Its settings.
    start : TrainedModel or None
        The model that was given to start from.

    Raises
    ------
    BadModelFileError
        If there is none, or it is damaged.
    """
    path = resume_path(model)
    kept = load_state(path)
    try:
        recipe, start = Recipe.model_validate(kept.get("recipe")), kept.get("start")
        return recipe, None if start is None else TrainedModel.from_plain(start)
    except (KeyError, ValueError, RuntimeError) as error:
        raise BadModelFileError(
            f"{path.name} cannot be resumed from: its settings are damaged"
        ) from error


def check_start(
    start: TrainedModel, method: str | None, settings: Mapping[str, Any]
) -> None:
    """Refuse settings that the model to start from decides otherwise.

    Parameters
    ----------
    start : TrainedModel
        Its networks are kept.
    method : str or None
        As given; None: left open.
    settings : mapping
        Those given, of the method or the training.

    Raises
    ------
    BadInputError
        With what differs.
    """
    ours = {"method": start.name} | start.method.config.model_dump()
    given = dict(settings) if method is None else {"method": method, **settings}
    differ = [
        f"{name} is {ours[name]} there, not {value}"
        for name, value in given.items()
        if name in ours and value not in (ours[name], None, "auto")
    ]
    if differ:
        raise BadInputError(
            f"the model to start from decides its networks: {'; '.join(differ)}. Leave "
            "that out, or train without it"
        )


def with_settings(recipe: Recipe, settings: dict[str, Any]) -> Recipe:
    """Change settings of the method or the training by their names."""
    known = type(recipe.training).model_fields.keys()
    training = {k: v for k, v in settings.items() if k in known}
    method = {k: v for k, v in settings.items() if k not in known}
    return recipe.changed(method, training)
