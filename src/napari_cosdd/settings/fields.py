"""The base class of all settings, and the texts that describe one field."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.fields import FieldInfo

from napari_cosdd._deprecation import renamed
from napari_cosdd.errors import BadInputError, in_words


class Settings(BaseModel):
    """Frozen settings whose fields carry their own default, bounds, unit and text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Present name of each renamed field, by its name in earlier releases.
    former_names: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _accept_former_names(cls, data: Any) -> Any:
        return cls.with_present_names(data) if isinstance(data, dict) else data

    @classmethod
    def with_present_names(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings with former names replaced by present ones."""
        return {cls.former_names.get(name, name): v for name, v in given.items()}

    @classmethod
    def _warn_of_former_names(cls, given: Iterable[str]) -> None:
        for name in given:
            if name in cls.former_names:
                renamed(name, cls.former_names[name])

    @classmethod
    def from_values(
        cls, given: Mapping[str, Any], also_known: Iterable[str] = ()
    ) -> Self:
        """Validate settings that a user gives, and warn of former names.

        Parameters
        ----------
        given : mapping
            Values by name.
        also_known : iterable of str
            Names of settings of other classes, to suggest for a misspelled name.

        Raises
        ------
        BadInputError
            If a setting is unknown or out of bounds.
        """
        cls._warn_of_former_names(given)
        try:
            return cls.model_validate(dict(given))
        except ValidationError as error:
            known = [*cls.model_fields, *also_known]
            raise BadInputError(in_words(error, known)) from error

    def changed(
        self, changes: Mapping[str, Any], also_known: Iterable[str] = ()
    ) -> Self:
        """Return a validated copy with some settings changed.

        Parameters
        ----------
        changes, also_known
            As in `from_values`.

        Raises
        ------
        BadInputError
            If a setting is unknown or out of bounds.
        """
        self._warn_of_former_names(changes)
        values = self.model_dump() | self.with_present_names(changes)
        return self.from_values(values, also_known)


def unit_of(field: FieldInfo) -> str:
    """Return the unit, such as "px"; empty if there is none."""
    return str(_extra(field).get("unit", ""))


def empty_means(field: FieldInfo) -> str:
    """Return what leaving an optional field empty means."""
    return str(_extra(field).get("empty", "automatic"))


def default_of(field: FieldInfo) -> str:
    """Return the default in words."""
    return empty_means(field) if field.default is None else str(field.default)


def bounds_of(field: FieldInfo) -> tuple[float | None, float | None]:
    """Return the lower and the upper bound of a field; None where it has none."""
    low: float | None = None
    high: float | None = None
    for bound in field.metadata:
        low = getattr(bound, "ge", getattr(bound, "gt", low))
        high = getattr(bound, "le", getattr(bound, "lt", high))
    return low, high


def _extra(field: FieldInfo) -> dict[str, Any]:
    extra = field.json_schema_extra
    return extra if isinstance(extra, dict) else {}
