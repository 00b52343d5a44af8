"""One page that shows what the demo did; it needs no other file."""

from __future__ import annotations

import html
from collections import Counter
from pathlib import Path

from napari_neuropretrain import __version__
from napari_neuropretrain.demo.figures import draw_mosaic
from napari_neuropretrain.demo.findings import Findings, preprocessed_path
from napari_neuropretrain.explanation.panel_slices import PanelMap
from napari_neuropretrain.explanation.panels import draw_panel
from napari_neuropretrain.explanation.subject import SCAN_MAP
from napari_neuropretrain.preprocessing.derivatives import read_derivative
from napari_neuropretrain.reporting.drawing import style
from napari_neuropretrain.reporting.figures import inline
from napari_neuropretrain.reporting.page import paragraph, warning, write_page
from napari_neuropretrain.reporting.tables import html_table
from napari_neuropretrain.reporting.trainings import draw_run

SHOWN_SCANS = 5


def write_report(path: Path, findings: Findings) -> Path:
    """Write the page as one self-contained HTML file."""
    parts = (
        _head(findings),
        _cohort(findings),
        _preprocessing(findings),
        _training(findings),
        _predictions(findings),
        _explanation(findings),
        _again(findings),
    )
    return write_page(path, "napari-neuropretrain: demo", parts)


def _head(findings: Findings) -> str:
    said = (
        "Every scan here is synthetic, drawn around the MNI152 template. The model has "
        "seen no patient and knows nothing about disease."
    )
    return warning(said) + paragraph(findings.sentence())


def _cohort(findings: Findings) -> str:
    people = findings.participants
    rows = []
    for group, count in sorted(Counter(row["diagnosis"] for row in people).items()):
        members = [row for row in people if row["diagnosis"] == group]
        ages = sorted(float(row["age"]) for row in members)
        women = sum(row["sex"] == "F" for row in members)
        years = f"{ages[0]:.0f} to {ages[-1]:.0f}"
        rows.append((group, count, years, women, count - women))
    return (
        f"<h2>1. Cohort: {len(people)} synthetic participants</h2>"
        + html_table(("group", "n", "age in years", "women", "men"), rows)
        + '<p>"AD" takes tissue from the medial temporal lobes of both sides; that is '
        "the planted region which the explanation should find.</p>"
    )


def _preprocessing(findings: Findings) -> str:
    names = [row["participant_id"] for row in findings.participants][:SHOWN_SCANS]
    scans = [
        (name, read_derivative(preprocessed_path(findings.folder, name)))
        for name in names
    ]
    contract = findings.card.contract
    return (
        "<h2>2. Preprocessing</h2><p>Brain mask, bias correction, alignment with the "
        f"template ({contract.registration.dof} degrees of freedom), one "
        f"interpolation to {contract.shape[0]}<sup>3</sup> voxels of "
        f"{contract.spacing_mm:g} mm, "
        "z-score in the brain. Outlined: the brain mask.</p>" + draw_mosaic(scans)
    )


def _training(findings: Findings) -> str:
    card = findings.card
    names = ("n", "roc_auc", "balanced_accuracy", "sensitivity", "specificity")
    rows = [
        (part, *(_short(card.metrics[part].get(name)) for name in names))
        for part in ("train", "validation", "test", "baseline")
    ]
    test = card.metrics["test"]["n"]
    return (
        f"<h2>3. Training: {html.escape(card.backbone.name)}, "
        f"{card.parameters:,} parameters</h2>"
        + _curves(findings)
        + html_table(("part", *names), rows)
        + f"<p>The test is <b>{test} participants</b> who took no part in the training "
        f"or in choosing the epoch and the threshold. With {test}, one participant "
        f"more or less changes the accuracy by {1 / test:.0%}: this shows that the "
        "chain works, not how good a method is. Baseline: "
        f"{html.escape(str(card.metrics['baseline']['predicts']))} for everyone.</p>"
    )


def _curves(findings: Findings) -> str:
    with style():
        figure = draw_run(findings.folder / "finetune")
        return "" if figure is None else inline(figure, "Training curves")


def _predictions(findings: Findings) -> str:
    truth = {row["participant_id"]: row for row in findings.test}
    rows = [
        (
            row["participant_id"],
            truth[row["participant_id"]]["label"],
            row["label"],
            f"{float(row['prediction']):.3f}",
            f"{float(truth[row['participant_id']]['prediction']):.3f}",
        )
        for row in findings.held_out
    ]
    header = ("participant", "truth", "predicted", "P(AD), raw scan", "P(AD), in test")
    return (
        "<h2>4. Predictions for the held-out participants</h2><p>Made from the raw "
        "scans, which the job <code>predict</code> preprocessed again; they must agree "
        "with the test of the training.</p>" + html_table(header, rows)
    )


def _explanation(findings: Findings) -> str:
    about = findings.explanation
    ratio = findings.inside / findings.chance if findings.chance else float("nan")
    return (
        f"<h2>5. What the model looked at: {html.escape(about['scan']['key'])}</h2>"
        f"<p>P(AD) = {about['prediction']:.3f}. A cube of {about['patch_mm']:g} mm is "
        f"hidden every {about['stride_mm']:g} mm, {about['positions']} times. Red: "
        "hiding the place lowers the probability, so it speaks for AD; blue: it speaks "
        "against. Shown are the strongest 5 % of the brain; green: the planted region."
        f"</p>{_panel(findings)}<p><b>{findings.inside:.0%}</b> of the strongest 5 % "
        f"lie in the planted region, which fills {findings.chance:.1%} of the brain: "
        f"{ratio:.1f} times chance.</p>"
    )


def _panel(findings: Findings) -> str:
    about, scan = findings.explanation, findings.scan
    size = float(about["strongest_threshold"])
    shown = PanelMap(
        findings.occlusion,
        scan.image,
        scan.affine,
        scan.brain_mask,
        f"drop when hidden ({about['unit']})",
        (size, size),
        outline=findings.region,
    )
    with style():
        figure = draw_panel([[shown]])
        return inline(figure, "Occlusion map over the scan, planted region in green")


def _again(findings: Findings) -> str:
    folder = findings.folder
    jobs = ("preprocess", "finetune", "predict", "explain")
    places = {job: folder / job for job in jobs} | {
        "preprocess": folder / "preprocessed"
    }
    steps = "\n".join(
        f'neuropretrain {job} --config "{places[job] / "config.yaml"}"' for job in jobs
    )
    source = findings.explanation["scan"]["path"]
    key = findings.explanation["scan"]["key"]
    opened = f'napari --plugin napari-neuropretrain "{source}" '
    opened += f'"{folder / "explain" / (key + SCAN_MAP)}"'
    seconds = [(stage, f"{value:.0f} s") for stage, value in findings.seconds.items()]
    versions = findings.card.versions or {"napari-neuropretrain": __version__}
    return (
        "<h2>6. Do it again</h2>"
        f"<pre>{html.escape(steps)}</pre><p>In napari:</p>"
        f"<pre>{html.escape(opened)}</pre><p>or Layers &gt; Classify &gt; "
        "NeuroPretrain &gt; Explain, with the folder <code>finetune</code> as model; "
        "File &gt; Open Sample &gt; NeuroPretrain has scans to try.</p>"
        + html_table(("stage", "time"), seconds)
        + html_table(("software", "version"), sorted(versions.items()))
    )


def _short(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
