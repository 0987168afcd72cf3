"""The docks name what they offer, never an option of the command line."""

import ast
import re
from pathlib import Path

import pytest

import napari_cosdd
from napari_cosdd.events import Warned
from napari_cosdd.gui._records import TrainingRecord
from napari_cosdd.gui._wording import WORDS, in_dock_words
from napari_cosdd.images.files import check_output
from napari_cosdd.remedies import Remedy

PACKAGE = Path(napari_cosdd.__file__).parent
OPTION = re.compile(r"--[a-z]{3}|\b[a-z_]+=('|True)")


def messages():
    """Yield the texts of the engine, but for docstrings."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.is_relative_to(PACKAGE / "cli") or path.name == "remedies.py":
            continue
        texts = (
            node.value
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        )
        yield from ((path.name, text) for text in texts if "\n" not in text)


def test_the_engine_names_options_by_remedies_alone():
    assert [(p, t) for p, t in messages() if re.search(r"--[a-z]{3}", t)] == []


@pytest.mark.parametrize("remedy", Remedy)
def test_docks_have_words_for_each_remedy(remedy):
    assert not OPTION.search(WORDS[remedy])
    assert in_dock_words(f"fill them ({remedy})") == f"fill them ({WORDS[remedy]})"


def test_no_remedy_is_a_part_of_another():
    both = [(a, b) for a in Remedy for b in Remedy if a is not b]
    assert [(a, b) for a, b in both if a in b] == []


def test_a_name_that_is_taken(tmp_path):
    with pytest.raises(Exception, match="--overwrite") as caught:
        check_output(tmp_path, overwrite=False)
    assert in_dock_words(str(caught.value)).endswith("choose another folder")


def test_warnings_of_a_training_are_in_dock_words():
    record = TrainingRecord("cells")
    record.take(Warned(f"5 pixels are hot ({Remedy.FILL_OUTLIERS})"))
    (warning,) = record.warnings
    assert "Advanced → Fill" in warning
    assert not OPTION.search(warning)
