"""Every page of the docs is in the navigation of the site, and once."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
MADE_BY_CODE = {"settings_of_jobs.md", "settings_of_parts.md"}


def pages_of(entry: object) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    values = entry.values() if isinstance(entry, dict) else entry
    return [page for value in values for page in pages_of(value)]


def test_the_navigation_names_every_page_once() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    docs = ROOT / "docs"
    written = {str(page.relative_to(docs)) for page in docs.rglob("*.md")}
    assert sorted(pages_of(site["nav"])) == sorted(written | MADE_BY_CODE)
