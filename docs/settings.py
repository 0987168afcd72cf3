"""`python -m docs.settings`: writes settings.md from the fields of the configs."""

from pathlib import Path

from pydantic import BaseModel

from napari_cosdd.methods.registry import METHODS, get_method
from napari_cosdd.settings.fields import default_of, unit_of
from napari_cosdd.settings.prediction import PredictionConfig
from napari_cosdd.settings.training import TrainingConfig

PAGE = Path(__file__).with_name("settings.md")
HEAD = """# Settings

Written by `python -m docs.settings` from the code: the docks, the command line
(`--learning-rate`) and Python (`learning_rate=`) have the same ones. An option that is
not given is decided by the preset.
"""


def page() -> str:
    """Return all tables as Markdown."""
    parts = [HEAD, table("Training", TrainingConfig)]
    for name in METHODS:
        method = get_method(name)
        parts.append(table(f"Method {method.title}", method.Config))
        parts.append(presets(name))
    parts.append(table("Denoising", PredictionConfig))
    return "\n".join(parts)


def table(title: str, config: type[BaseModel]) -> str:
    """Return the fields of a config."""
    lines = [
        f"## {title}",
        "",
        "| name | title | default | meaning |",
        "|---|---|---|---|",
    ]
    for name, field in config.model_fields.items():
        default = default_of(field)
        if unit := unit_of(field):
            default += f" {unit}" if field.default is not None else f"; in {unit}"
        lines.append(f"| `{name}` | {field.title} | {default} | {field.description} |")
    return "\n".join([*lines, ""])


def presets(name: str) -> str:
    """Return what each preset of a method changes."""
    lines = []
    for preset, chosen in get_method(name).presets.items():
        parts = chosen.settings, chosen.training
        changed = {
            key: value
            for part in parts
            for key, value in part.model_dump(exclude_defaults=True).items()
        }
        words = ", ".join(f"`{k}` {v}" for k, v in changed.items()) or "the defaults"
        purpose = f" ({chosen.purpose})" if chosen.purpose else ""
        lines.append(f"- Preset **{preset}**{purpose}: {words}.")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
