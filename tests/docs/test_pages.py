"""The pages say what the code does, and their links lead somewhere."""

import re
from pathlib import Path

import pytest
from docs.settings import PAGE, page

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_table_of_settings_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m docs.settings"


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), target
