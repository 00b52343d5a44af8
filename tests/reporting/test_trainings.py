"""Curves from events."""

import json

from napari_neuropretrain.reporting.trainings import draw_losses, draw_run, read_epochs


def write_events(folder, epochs):
    lines = [{"state": "started"}, {"state": "step", "values": {"epoch": 1}}]
    lines += [
        {
            "state": "epoch",
            "step": epoch,
            "values": {"epoch": epoch, "loss": loss, "validation_loss": 2 * loss}
            | ({"best": True} if best else {}),
        }
        for epoch, loss, best in epochs
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "events.jsonl").write_text(text)


def test_a_training_begun_anew_replaces_the_one_before(tmp_path):
    rows = [(1, 0.9, True), (2, 0.8, True), (3, 0.7, True), (1, 0.5, True)]
    write_events(tmp_path, rows)
    assert [one["loss"] for one in read_epochs(tmp_path)] == [0.5]
    write_events(tmp_path, [*rows, (2, 0.4, True), (2, 0.3, False)])
    assert [one["loss"] for one in read_epochs(tmp_path)] == [0.5, 0.3]


def test_the_curves_of_a_run_and_its_best_epoch(tmp_path):
    assert draw_run(tmp_path) is None
    write_events(tmp_path, [(1, 0.9, True), (2, 0.5, True), (3, 0.6, False)])
    figure = draw_run(tmp_path)
    (axis,) = figure.axes
    assert figure.get_suptitle() == "Epoch 2 is kept"
    curves = {line.get_label(): line.get_ydata() for line in axis.get_lines()}
    assert list(curves["training"]) == [0.9, 0.5, 0.6]
    assert list(curves["validation"]) == [1.8, 1.0, 1.2]


def test_seeds_share_a_panel():
    epochs = [{"epoch": 1, "loss": 1.0, "validation_loss": 1.1}, {"epoch": 2}]
    figure = draw_losses({"a": [epochs, epochs], "b": [epochs]}, "all")
    panels = [axis for axis in figure.axes if axis.get_title()]
    assert [len(axis.get_lines()) for axis in panels] == [4, 2]
