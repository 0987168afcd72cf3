"""No message of the engine that a dock shows names an option of the command line."""

import ast
import re
from pathlib import Path

import pytest

import napari_cosdd
from napari_cosdd.gui._wording import in_dock_words
from napari_cosdd.images.files import check_output

PACKAGE = Path(napari_cosdd.__file__).parent


def messages():
    """Yield the texts of the engine that name options, with 5 for what varies."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.is_relative_to(PACKAGE / "cli") or path.name == "_wording.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (getattr(part, "value", "") for part in node.values)
                text = "".join(p if isinstance(p, str) else "5" for p in parts)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
            else:
                continue
            if re.search(r"--[a-z]{3}", text) and "\n" not in text:  # no docstring
                yield path.name, text


def whole(found):
    """Leave out the constant parts of texts that are found as a whole, too."""
    texts = [text for _, text in found]
    return [
        (name, text)
        for name, text in found
        if not any(text != other and text in other for other in texts)
    ]


FOUND = whole(list(messages()))


def test_there_are_such_messages():
    assert len(FOUND) > 10


@pytest.mark.parametrize(("name", "text"), FOUND)
def test_docks_use_their_own_words(name, text):
    said = in_dock_words(text)
    assert not re.search(r"--[a-z]{3}|\w+='\w+'|\w+=True", said), name


def test_a_name_that_is_taken(tmp_path):
    with pytest.raises(Exception, match="--overwrite") as caught:
        check_output(tmp_path, overwrite=False)
    assert in_dock_words(str(caught.value)).endswith("choose another folder")
