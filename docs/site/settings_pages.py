"""Pages of the site that are made from the code: the settings of every job."""

from __future__ import annotations

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from napari_neuropretrain.cli.flag_texts import default_of, flag_of, help_of
from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.catalog import CATALOGS
from napari_neuropretrain.config.jobs import JOBS

PAGES = {
    "settings_of_jobs.md": (
        "Settings of every job",
        "Each job takes these as flags, and under the same names in the YAML file "
        "that `--config` reads and that the plugin writes.",
        [(entry.name, entry.title, entry.options) for entry in JOBS],
    ),
    "settings_of_parts.md": (
        "Options of every part",
        "A part with options is written `{name: mae, mask_ratio: 0.6}`.",
        [
            (f"{kind.rstrip('s')} {entry.name}", entry.title, entry.options)
            for kind, entries in CATALOGS.items()
            for entry in entries
        ],
    ),
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages before links and navigation are checked."""
    for path, (title, opening, parts) in PAGES.items():
        text = [f"# {title}", opening, *(_section(*part) for part in parts)]
        page = File.generated(config, path, content="\n\n".join(text) + "\n")
        files.append(page)
    return files


def _section(name: str, title: str, options: type[Config]) -> str:
    rows = [_row(field, options) for field in options.model_fields]
    table = ["| setting | default | what |", "|---|---|---|", *rows]
    return "\n\n".join([f"## {name}", title + ".", "\n".join(table) if rows else ""])


def _row(name: str, options: type[Config]) -> str:
    field = options.model_fields[name]
    default = "required" if field.is_required() else f"`{default_of(field)}`"
    words = [name if options.__name__.endswith("Options") else flag_of(name), default]
    cells = [f"`{words[0]}`", words[1].replace("``", ""), help_of(field)]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
