"""Who may import whom, as in the design; read with `ast`, nothing is imported."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import napari_neuropretrain

PACKAGE = "napari_neuropretrain"
ROOT = Path(napari_neuropretrain.__file__).parent
LIGHT = {
    "errors",
    "progress",
    "config",
    "resources",
    "runs",
    "process_settings",
    "ranks",
    "cli",
    "gui",
}
HEAVY = {"torch", "monai", "lightning", "ants", "SimpleITK", "sklearn", "pandas"}
HEAVY |= {"scipy", "nilearn", "matplotlib", "dask", "distributed", "numba"}
QT = {"qtpy", "superqt", "magicgui", "napari", "PyQt6", "PySide6"}

# Folder or module: the folders of this package it may import besides itself.
BASE = {"errors", "progress", "config", "resources"}
ALLOWED = {
    "errors": set(),
    "progress": {"errors"},
    "process_settings": set(),
    "ranks": {"errors"},
    "resources": {"errors"},
    "config": {"errors"},
    "runs": {"errors", "progress", "config", "ranks", ""},
    "data": BASE,
    "backbone": set(),
    "backbones": {"errors", "config", "backbone"},
    "weights": {"errors", "config", "progress", "backbone", "backbones", ""},
    "methods": {"errors", "config", "backbone"},
    "tuning": {"errors", "config", "backbone"},
    "tasks": {"errors", "config"},
    "synthesis": BASE | {"data", "weights"},
    "preprocessing": BASE
    | {"data", "synthesis", "weights", "process_settings", ""}
    | {"reporting"},
    "training": BASE
    | {"data", "weights", "evaluation", "preprocessing", "backbone", "tuning", ""}
    | {"methods", "reporting"}
    | {"process_settings", "synthesis", "ranks"},
    "evaluation": BASE | {"data", "weights", "training", "inference"} | {"reporting"},
    "benchmark": BASE
    | {"runs", "data", "weights", "training", "evaluation", "preprocessing"}
    | {"process_settings", "reporting", "explanation", ""},
    "search": BASE | {"runs", "data", "evaluation", "benchmark", "reporting"},
    "inference": BASE | {"data", "weights", "training", "preprocessing", "tasks", ""},
    "explanation": BASE
    | {"data", "weights", "training", "inference", "preprocessing", "evaluation"}
    | {"backbone", "reporting", ""},
    "demo": BASE
    | {"runs", "data", "synthesis", "explanation", "evaluation", "preprocessing"}
    | {"weights", "reporting", ""},
    "reporting": BASE | {"runs", ""},
    "cli": BASE | {"runs", "process_settings", ""},
    "gui": BASE
    | {"runs", "data", "synthesis", "explanation", "reporting", "demo", "weights", ""},
    "__main__": {"cli"},
    "__init__": set(),
}


def folder_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports_of(path: Path) -> list[tuple[str, bool]]:
    """Give (dotted name, is at module level) of every import."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inner = {
        node
        for scope in ast.walk(tree)
        if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef) or _typing(scope)
        for node in ast.walk(scope)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in {path}"
            names = [str(node.module)]
        else:
            continue
        found += [(name, node not in inner) for name in names]
    return found


def _typing(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


MODULES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_follow_the_design(path: Path) -> None:
    here = folder_of(path)
    assert here in ALLOWED, f"new folder '{here}': add it to the table"
    for name, at_top in imports_of(path):
        top = name.split(".")[0]
        if top == PACKAGE:
            parts = name.split(".")
            there = parts[1] if len(parts) > 1 else ""
            message = f"{path.name} of '{here}' imports {name}"
            assert there == here or there in ALLOWED[here], message
        if here in LIGHT and at_top:
            assert top not in HEAVY, f"{path} imports {name} at the top"
        if here != "gui":
            assert top not in QT, f"{path} imports {name} outside gui/"


@pytest.mark.parametrize(
    "code",
    [
        "from napari_neuropretrain.cli.main import main; main(['--help'])",
        "from napari_neuropretrain.cli.main import main\n"
        "for job in ('preprocess', 'finetune', 'predict', 'explain', 'demo'):\n"
        "    try: main([job, '--help'])\n"
        "    except SystemExit: pass",
        "from napari_neuropretrain.cli.main import main; main(['list', 'backbones'])",
    ],
    ids=["overview", "help", "list"],
)
def test_light_commands_load_nothing_heavy(code: str) -> None:
    heavy = sorted(HEAVY | QT)
    check = f"{code}\nimport sys; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_module_names_say_something() -> None:
    empty = {"utils", "helper", "helpers", "common", "misc", "manager", "core"}
    assert not [path for path in MODULES if path.stem in empty]
