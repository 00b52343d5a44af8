"""Saved figures."""

from napari_neuropretrain.reporting.drawing import new_figure, save_figure, style


def test_the_same_figure_gives_the_same_files(tmp_path):
    def save(name):
        with style():
            figure = new_figure(2, 2)
            figure.subplots().plot([0, 1], [1, 0])
            return save_figure(figure, tmp_path / name, "line")

    one, other = save("one"), save("other")
    assert one.read_bytes() == other.read_bytes()
    assert (
        one.with_suffix(".svg").read_bytes() == other.with_suffix(".svg").read_bytes()
    )
