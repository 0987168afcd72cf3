"""What options, forms and tables say of a config's field: its unit, its default."""

from typing import Any

from pydantic.fields import FieldInfo


def unit_of(field: FieldInfo) -> str:
    """Return the unit, such as "px"; empty if there is none."""
    return str(_extra(field).get("unit", ""))


def empty_means(field: FieldInfo) -> str:
    """Return what leaving an optional field empty means."""
    return str(_extra(field).get("empty", "automatic"))


def default_of(field: FieldInfo) -> str:
    """Return the default in words."""
    return empty_means(field) if field.default is None else str(field.default)


def _extra(field: FieldInfo) -> dict[str, Any]:
    extra = field.json_schema_extra
    return extra if isinstance(extra, dict) else {}
