"""A recipe: method, method settings and training settings, as an editable file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializeAsAny,
    ValidationError,
    model_validator,
)

from napari_cosdd.errors import BadInputError, in_words
from napari_cosdd.images.files import atomic
from napari_cosdd.methods.base import MethodConfig
from napari_cosdd.methods.registry import DEFAULT, get_method
from napari_cosdd.methods.values import Assets
from napari_cosdd.models.noise_model_file import from_plain
from napari_cosdd.models.shipped import usual_preset
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.settings.training import TrainingConfig
from napari_cosdd.training.resume_file import load_state, unusable
from napari_cosdd.training.saving import resume_path

ConfigT = TypeVar("ConfigT", bound=MethodConfig)


class Recipe(BaseModel, Generic[ConfigT]):
    """All settings that make a model, apart from the images.

    Attributes
    ----------
    method : str
        As in METHODS.
    settings : MethodConfig
        Settings of the method, of its own type.
    training : TrainingConfig
        Settings of the training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    settings: SerializeAsAny[ConfigT]
    training: TrainingConfig = TrainingConfig()

    @model_validator(mode="before")
    @classmethod
    def _give_settings_their_type(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        data = {"method": DEFAULT, "settings": {}, **data}
        kind = get_method(data["method"]).Config
        if isinstance(data["settings"], dict):
            data["settings"] = kind.model_validate(data["settings"])
        elif not isinstance(data["settings"], kind):
            raise ValueError(f"these are not settings of the method {data['method']}")
        return data

    @classmethod
    def preset(cls, method: str = DEFAULT, preset: str | None = None) -> "Recipe[Any]":
        """Return the recipe of a preset; None: the one that suits this machine.

        Raises
        ------
        BadInputError
            If there is no such method or preset.
        """
        presets = get_method(method).presets
        preset = preset or usual_preset(method)
        if preset not in presets:
            raise BadInputError(
                f"method {method} has no preset {preset!r}; expected one of "
                f"{', '.join(presets)}"
            )
        chosen = presets[preset]
        return Recipe(method=method, settings=chosen.settings, training=chosen.training)

    def changed(
        self,
        settings: Mapping[str, Any] | None = None,
        training: Mapping[str, Any] | None = None,
    ) -> "Recipe[ConfigT]":
        """Return a validated copy with some settings changed.

        Raises
        ------
        BadInputError
            If a setting is unknown or out of bounds.
        """
        return self.model_copy(
            update={
                "settings": self.settings.changed(
                    settings or {}, TrainingConfig.model_fields
                ),
                "training": self.training.changed(training or {}),
            }
        )

    def with_values(self, values: Mapping[str, Any]) -> "Recipe[ConfigT]":
        """Return a copy with changed settings of the method or the training, by name.

        Raises
        ------
        BadInputError
            If a setting is unknown or out of bounds.
        """
        training_names = (
            TrainingConfig.model_fields.keys() | TrainingConfig.former_names.keys()
        )
        training = {k: v for k, v in values.items() if k in training_names}
        settings = {k: v for k, v in values.items() if k not in training_names}
        return self.changed(settings, training)

    def write(self, path: Path) -> None:
        """Write the recipe as JSON, to be edited and used again."""
        with atomic(path) as temporary:
            temporary.write_text(
                self.model_dump_json(indent=2) + "\n", encoding="utf-8"
            )

    @classmethod
    def read(cls, path: Path) -> "Recipe[Any]":
        """Read a recipe of this or an earlier release.

        Raises
        ------
        BadInputError
            If it cannot be read, or a setting is unknown or out of bounds.
        """
        try:
            return Recipe.model_validate_json(path.read_text(encoding="utf-8"))
        except ValidationError as error:
            raise BadInputError(f"{path.name}: {in_words(error)}") from error
        except (OSError, UnicodeDecodeError) as error:
            raise BadInputError(f"{path} cannot be read: {error}") from error


def resumed(model: Path) -> tuple[Recipe[Any], TrainedModel | None, Assets]:
    """Return the inputs of the unfinished training beside a model file.

    Returns
    -------
    recipe : Recipe
        Settings.
    init_model : TrainedModel or None
        The model whose weights were given to start from.
    assets : Assets
        Noise model, if there was one.

    Raises
    ------
    BadModelFileError
        If there is no such training, or its state is damaged.
    """
    path = resume_path(model)
    state = load_state(path)
    with unusable(path):
        recipe: Recipe[Any] = Recipe.model_validate(state["recipe"])
        init, noise = state.get("init_model"), state.get("noise_model")
        return (
            recipe,
            None if init is None else TrainedModel.from_plain(init),
            Assets(None if noise is None else from_plain(noise)),
        )


def check_init_model(
    model: TrainedModel, method: str | None, settings: Mapping[str, Any]
) -> None:
    """Refuse settings that contradict the model to start from.

    Parameters
    ----------
    model : TrainedModel
        The model to start from; its networks are kept.
    method : str or None
        Requested method; None if open.
    settings : mapping
        Requested settings of the method or the training.

    Raises
    ------
    BadInputError
        If method or settings differ; the message lists them.
    """
    fixed = {"method": model.name} | model.method.config.model_dump()
    requested = dict(settings) if method is None else {"method": method, **settings}
    differ = [
        f"{name} is {fixed[name]} there, not {value}"
        for name, value in requested.items()
        if name in fixed and value not in (fixed[name], None, "auto")
    ]
    if differ:
        raise BadInputError(
            f"the model to start from decides its networks: {'; '.join(differ)}. Leave "
            "out these settings, or start without the model"
        )
