"""Take the pictures of the docs: run each job in its widget and save the window.

    neuropretrain demo --output DEMO
    python docs/make_screenshots.py DEMO [--images docs/images] [--only explain]

DEMO is the output folder of a demo, which has everything that is shown. On Linux
without a display, put ``xvfb-run -a -s "-screen 0 1600x1000x24"`` in front. All
pictures together take about a quarter of an hour on two cores.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import napari
from napari.settings import get_settings
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QApplication,
    QDockWidget,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QWidget,
)

from napari_neuropretrain.gui import widgets
from napari_neuropretrain.gui.explanation.map_files import files_of
from napari_neuropretrain.gui.jobs.job_widget import JobWidget
from napari_neuropretrain.gui.reader import read_layers
from napari_neuropretrain.gui.review.review_widget import open_reviews
from napari_neuropretrain.gui.scans import view
from napari_neuropretrain.runs.child_run import Ending

WINDOW = (1400, 900)
LONGEST_RUN_S = 900.0
SHORTER: dict[str, str] = {}
"""Folders of the machine that takes the pictures, and what is shown for them."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("demo", type=Path, help="folder with scans and a model")
    parser.add_argument("--images", type=Path, default=Path(__file__).parent / "images")
    parser.add_argument("--only", choices=SCENES, default=None)
    parser.add_argument("--theme", choices=("dark", "light"), default="dark")
    given = parser.parse_args()
    given.images.mkdir(parents=True, exist_ok=True)
    get_settings().appearance.theme = given.theme
    for name, scene in SCENES.items():
        if given.only in (None, name):
            with tempfile.TemporaryDirectory() as scratch:
                demo = given.demo.absolute()
                SHORTER.update({f"{scratch}/": "", str(demo): "demo"})
                SHORTER[str(demo.resolve())] = "demo"
                scene(demo, Path(scratch), given.images)


def preprocess(demo: Path, scratch: Path, images: Path) -> None:
    """A raw head with its brain mask, and aligned with the template's edges."""
    viewer, widget = open_widget(widgets.PreprocessWidget)
    run(widget, input=raw_scans(demo)[0], output=scratch / "derivatives")
    wait_for_layers(viewer)
    save(viewer, images / "preprocess-before.png")
    widget.controls.after.click()
    save(viewer, images / "preprocess-after.png")
    viewer.close()


def review(demo: Path, scratch: Path, images: Path) -> None:
    """Three scans to keep, look at or reject."""
    viewer, widget = open_widget(widgets.PreprocessWidget)
    (scratch / "scans").mkdir()
    for scan in raw_scans(demo)[:3]:
        shutil.copy(scan, scratch / "scans")
    run(widget, input=scratch / "scans", output=scratch / "derivatives")
    wait_for_layers(viewer)
    widget.review()
    (review,) = open_reviews(viewer)
    review.panel.next.click()
    review.panel.note.setText("mask is good")
    review.panel.buttons["keep"].click()
    view.show_side(viewer, "after")
    settle(5.0)
    save(viewer, images / "review.png")
    viewer.close()


def pretrain(demo: Path, scratch: Path, images: Path) -> None:
    """What the network sees, before and after; losses and probes."""
    viewer, widget = open_widget(widgets.PretrainWidget)
    source = {"name": "template_cohort", "participants": 32, "spacing_mm": 3}
    settings = {"source": source | {"shape": "56x64x56"}, "output": scratch / "pre"}
    fill(widget, **settings, method="mae", backbone="nit", learning_rate=1e-3)
    fill(widget, epochs=30, batch_size=8, validation_fraction=0.25, probe_every=4)
    wait_for_estimate(widget)
    save(viewer, images / "pretrain-form.png")
    run(widget)
    preview(widget)
    save(viewer, images / "pretrain-preview.png")
    widget.panel.curves.choice.setCurrentText("Probe: mean absolute error")
    fill(widget, method="y_aware")
    wait_for_estimate(widget)
    preview(widget)
    save(viewer, images / "pretrain-views.png")
    viewer.close()


def finetune(demo: Path, scratch: Path, images: Path) -> None:
    """What a training would cost; its losses, and its test."""
    viewer, widget = open_widget(widgets.FinetuneWidget)
    settings = {"cohort": derivatives(demo), "output": scratch / "model", "task": "ad"}
    settings |= {"epochs": 6}
    fill(widget, **settings)
    wait_for_estimate(widget)
    save(viewer, images / "finetune-form.png")
    run(widget)
    save(viewer, images / "finetune.png")
    viewer.close()


def predict(demo: Path, scratch: Path, images: Path) -> None:
    """The cards of two models, the second of which is trained here."""
    models = scratch / "models"
    shutil.copytree(model(demo), models / "ad")
    viewer, trained = open_widget(widgets.FinetuneWidget)
    settings = {"cohort": derivatives(demo), "task": "brain_age", "epochs": 8}
    run(trained, output=models / "brain_age", **settings)
    viewer.close()
    viewer, widget = open_widget(widgets.PredictWidget)
    scan = explained_scan(demo)  # held out
    view.add_layers(viewer, read_layers(scan))
    fill(widget, model=models, output=scratch / "predictions")
    run(widget, input=scan)
    save(viewer, images / "predict.png")
    viewer.close()


def cohort(demo: Path, scratch: Path, images: Path) -> None:
    """A cohort with some things wrong, and the division of a training."""
    viewer, widget = open_widget(widgets.CohortWidget)
    widen(viewer, widget, 620)
    study = shutil.copytree(derivatives(demo), scratch / "study")
    table = study / "participants.tsv"
    lines = table.read_text(encoding="utf-8").splitlines()
    lines[2] = lines[2].replace(".", "", 1)  # an age without its point
    lines[5] = lines[5].replace("CN", "C.N.").replace("AD", "A.D.")
    table.write_text("\n".join([*lines, lines[-1]]) + "\n", encoding="utf-8")
    widget.open(study)
    wait_until(lambda: widget.cohort is not None and not widget.loader.busy())
    widget.show_division(model(demo))
    widget.open_scan(0)
    wait_until(lambda: bool(viewer.layers) and not widget.pictures.busy())
    save(viewer, images / "cohort.png")
    widget.panel.tabs.setCurrentIndex(1)
    widget.panel.filter.setText("age > 60 and part = train")
    save(viewer, images / "cohort-balance.png")
    viewer.close()


def guide(demo: Path, scratch: Path, images: Path) -> None:
    """The steps of the guided path, of which a demo has the same."""
    viewer, widget = open_widget(widgets.GuideWidget)
    widget.open_folder(demo)
    for number in range(len(widget.states)):
        seen: list[object] = []
        widget.showed.connect(seen.append)
        widget.show_step(number)
        deadline = time.monotonic() + LONGEST_RUN_S
        while not seen and time.monotonic() < deadline:
            settle(0.1)
        save(viewer, images / f"guide-{number + 1}.png")
    viewer.close()


def runs(demo: Path, scratch: Path, images: Path) -> None:
    """Every run of the demo, with the curves of its training."""
    viewer, widget = open_widget(widgets.RunsWidget)
    widget.open_folder(demo)
    deadline = time.monotonic() + LONGEST_RUN_S
    while not widget.tree.topLevelItemCount() and time.monotonic() < deadline:
        settle(0.1)
    widget.tree.select(model(demo))
    save(viewer, images / "runs.png")
    viewer.close()


def explain(demo: Path, scratch: Path, images: Path) -> None:
    """The occlusion map on the scan, and in 3D."""
    viewer, widget = open_widget(widgets.ExplainWidget)
    settings = {"model": model(demo), "input": preprocessed(explained_scan(demo), demo)}
    run(widget, output=scratch / "explanation", patch=6, stride=4, **settings)
    go_to_the_peak(viewer, widget)
    save(viewer, images / "explain-axial.png")
    view.show_3d(viewer)
    save(viewer, images / "explain-3d.png")
    viewer.close()


def explanation(demo: Path, scratch: Path, images: Path) -> None:
    """A map of the demo: its panel, its checks, and three planes."""
    viewer, panel = open_widget(widgets.ExplanationWidget)
    found = sorted(demo.rglob("*_space-MNI152_desc-occlusion_map.nii.gz"))[0]
    template_t1 = files_of(found).template_t1
    below = [] if template_t1 is None else read_layers(template_t1)
    view.add_layers(viewer, [*below, *read_layers(found)])
    wait_until(lambda: panel.parts.clusters.table.rowCount() > 0)
    wait_until(lambda: panel.switch.files.randomised is not None)
    viewer.reset_view()
    panel.parts.clusters.table.selectRow(0)
    save(viewer, images / "explanation.png")
    panel.parts.look.fade.click()
    panel.parts.tabs.setCurrentIndex(1)
    save(viewer, images / "explanation-trust.png")
    viewer.window.remove_dock_widget(panel)
    planes = widgets.PlanesWidget(viewer)
    viewer.window.add_dock_widget(planes, name="Three planes", area="bottom")
    settle(1.0)
    viewer.reset_view()
    planes.sides.setCurrentIndex(1)
    save(viewer, images / "three-planes.png")
    viewer.close()


SCENES: dict[str, Callable[[Path, Path, Path], None]] = {
    "cohort": cohort,
    "preprocess": preprocess,
    "review": review,
    "pretrain": pretrain,
    "finetune": finetune,
    "predict": predict,
    "guide": guide,
    "explain": explain,
    "explanation": explanation,
    "runs": runs,
}


def open_widget(
    kind: Callable[[napari.Viewer], JobWidget],
) -> tuple[napari.Viewer, JobWidget]:
    """Open a viewer with one dock widget, and say how long the widget took."""
    viewer = napari.Viewer()
    viewer.window.resize(*WINDOW)
    began = time.perf_counter()
    widget = kind(viewer)
    title = getattr(widget, "title", kind.__name__)
    viewer.window.add_dock_widget(widget, name=title)
    print(f"{title}: opened in {time.perf_counter() - began:.2f} s")
    settle(1.0)
    return viewer, widget


def widen(viewer: napari.Viewer, widget: QWidget, width: int) -> None:
    """Make the dock of a widget wider, as one would with the mouse."""
    dock: QWidget | None = widget
    while dock is not None and not isinstance(dock, QDockWidget):
        dock = dock.parentWidget()
    viewer.window._qt_window.resizeDocks([dock], [width], Qt.Orientation.Horizontal)
    settle(0.5)


def run(widget: JobWidget, **settings: object) -> None:
    """Fill in the form, press Start, and wait until the results are shown."""
    fill(widget, **settings)
    endings: list[Ending] = []
    widget.ended.connect(endings.append)
    widget.start()
    deadline = time.monotonic() + LONGEST_RUN_S
    while not endings and time.monotonic() < deadline:
        settle(0.1)
    settle(9.0)  # results load, and the notification goes away
    print(f"{widget.title}: {widget.panel.state.text()}")


def fill(widget: JobWidget, **settings: object) -> None:
    """Fill in fields of the form."""
    for name, value in settings.items():
        field = widget.form.widgets[name]
        if isinstance(value, dict):  # an entry of a catalog, with options
            field.value = value["name"]
            for option, one in value.items():
                if option != "name":
                    widget.form.choices[name].form.widgets[option].value = one
            continue
        if hasattr(field, "line_edit"):
            field.line_edit.value = str(value)
        else:
            field.value = value


def preview(widget: widgets.PretrainWidget) -> None:
    """Press Preview and wait for the layers."""
    endings: list[Ending] = []
    widget.preview.ended.connect(endings.append)
    widget.preview.button.click()
    deadline = time.monotonic() + LONGEST_RUN_S
    while not endings and time.monotonic() < deadline:
        settle(0.1)
    settle(1.0)


def wait_for_estimate(widget: widgets.PretrainWidget | widgets.FinetuneWidget) -> None:
    """Wait until it is known what a training would cost."""
    deadline = time.monotonic() + LONGEST_RUN_S
    while widget.estimate.busy() and time.monotonic() < deadline:
        settle(0.1)


def settle(seconds: float) -> None:
    """Let Qt work for a while."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        QApplication.processEvents()
        time.sleep(0.02)


def save(viewer: napari.Viewer, path: Path) -> None:
    """Save the whole window, without notifications in front of it."""
    for one in QApplication.allWidgets():
        if type(one).__name__ == "NapariQtNotification":
            one.close()
    settle(1.0)
    window = viewer.window._qt_window
    with shorter_paths(window):
        settle(0.3)
        viewer.screenshot(str(path), canvas_only=False, flash=False)
    # 256 colours need a third of the bytes. Spread over all colours, none is off by
    # more than 8 of 255; by how often they occur, a small red area would turn grey.
    whole, method = Image.open(path).convert("RGB"), Image.Quantize.MAXCOVERAGE
    few = whole.quantize(256, method=method, dither=Image.Dither.NONE)
    few.save(path, optimize=True)
    print(f"  {path}")


@contextlib.contextmanager
def shorter_paths(window: QWidget) -> Iterator[None]:
    """Show the folders of this machine by short names, and then as they are."""
    kinds: dict[type, str] = {QLineEdit: "text", QLabel: "text"}
    kinds[QPlainTextEdit] = "plainText"
    before: list[tuple[QWidget, str, str]] = []
    for kind, name in kinds.items():
        for one in window.findChildren(kind):
            text = short = str(one.property(name) or "")
            for folder, words in SHORTER.items():
                short = short.replace(folder, words)
            if short != text:
                before.append((one, name, text))
                show_text(one, name, short)
    yield
    for one, name, text in before:
        show_text(one, name, text)


def show_text(widget: QWidget, name: str, text: str) -> None:
    """Show other words, without telling anyone."""
    widget.blockSignals(True)
    widget.setProperty(name, text)
    widget.blockSignals(False)
    if isinstance(widget, QPlainTextEdit) and (bar := widget.verticalScrollBar()):
        bar.setValue(bar.maximum())


def wait_until(done: Callable[[], bool]) -> None:
    """Let Qt work until something is so."""
    deadline = time.monotonic() + LONGEST_RUN_S
    while not done() and time.monotonic() < deadline:
        settle(0.1)
    settle(0.5)


def wait_for_layers(viewer: napari.Viewer) -> None:
    """Wait until a scan is shown before and after."""
    deadline = time.monotonic() + LONGEST_RUN_S
    while len(viewer.layers) < 4 and time.monotonic() < deadline:
        settle(0.1)


def raw_scans(demo: Path) -> list[Path]:
    """Return the scans that are not derivatives."""
    found = sorted(demo.rglob("*_T1w.nii.gz"))
    return [path for path in found if "_space-" not in path.name]


def explained_scan(demo: Path) -> Path:
    """Return the scan that the demo explained, or the first raw one."""
    for note in sorted(demo.rglob("*_explanation.json")):
        return Path(json.loads(note.read_text(encoding="utf-8"))["scan"]["path"])
    return raw_scans(demo)[0]


def preprocessed(scan: Path, demo: Path) -> Path:
    """Return the aligned volume of a scan."""
    person = scan.name.partition("_")[0]
    return next(derivatives(demo).rglob(f"{person}_*_desc-preproc_T1w.nii.gz"))


def go_to_the_peak(viewer: napari.Viewer, widget: JobWidget) -> None:
    """Show the slices through the strongest cluster of the table."""
    table = widget.panel.table
    names = [table.horizontalHeaderItem(i).text() for i in range(table.columnCount())]
    place = [float(table.item(0, names.index(f"{axis} mm")).text()) for axis in "zyx"]
    viewer.dims.set_point((0, 1, 2), place)


def derivatives(demo: Path) -> Path:
    """Return the largest folder of preprocessed scans."""
    found = sorted(demo.rglob("*_desc-preproc_T1w.nii.gz"))
    roots = [path.parents[1] for path in found]
    return max(roots, key=lambda root: len(list(root.parent.rglob("*")))).parent


def model(demo: Path) -> Path:
    """Return the run folder of a fine-tuning."""
    return next(iter(sorted(demo.rglob("model.safetensors")))).parent


if __name__ == "__main__":
    main()
