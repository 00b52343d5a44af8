"""Pages hold everything, and nothing in them is taken for HTML."""

import re

from napari_neuropretrain.config.evaluation import SplitConfig
from napari_neuropretrain.reporting.drawing import new_figure, save_figure, style
from napari_neuropretrain.reporting.figures import embedded, gallery, inline
from napari_neuropretrain.reporting.page import (
    paragraph,
    section,
    statements,
    warning,
    write_page,
)
from napari_neuropretrain.reporting.provenance import provenance, sha256_of
from napari_neuropretrain.reporting.tables import html_table, table_of_file


def test_a_page_needs_nothing_else(tmp_path):
    with style():
        figure = new_figure(1, 1)
        drawn = inline(figure, "a figure", "By hand.")
        saved = save_figure(figure, tmp_path, "roc_test")
    parts = (warning(""), section("One", paragraph("x")), drawn, embedded(saved))
    page = write_page(tmp_path / "page.html", "A <title>", parts).read_text("utf-8")
    assert "<h1>A &lt;title&gt;</h1>" in page
    assert page.count("data:image/png;base64,") == 2
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "For research use only" in page
    assert "border-collapse" in page
    assert gallery({"roc_test": saved}, {"roc": "A curve."}).count("A curve.") == 1


def test_what_is_empty_leaves_no_heading():
    assert section("Failures", html_table(("a",), ()), statements(())) == ""
    assert "<h2>Failures</h2>" in section("Failures", paragraph("one"))


def test_everything_is_escaped(tmp_path):
    bad = "<script>"
    table = tmp_path / "t.tsv"
    table.write_text(f"a\tb\n{bad}\t1\n")
    for text in (
        paragraph(bad),
        statements([bad]),
        section(bad, "x"),
        warning(bad),
        html_table([bad], [[bad]], bad, bad),
        table_of_file(table),
    ):
        assert bad not in text
        assert "&lt;script&gt;" in text


def test_long_files_are_cut_and_say_so(tmp_path):
    table = tmp_path / "long.tsv"
    table.write_text("n\n" + "".join(f"{number}\n" for number in range(50)))
    text = table_of_file(table, "Long", most=3)
    assert text.count("<tr>") == 4
    assert "The first 3 of 50 rows; all are in long.tsv." in text
    marked = html_table(("n",), [["1"], ["2"]], marked=[1])
    assert '<tr class="worse"><td>2</td>' in marked
    assert "<tr><td>1</td>" in marked


def test_provenance_says_how_to_do_it_again(tmp_path):
    config = SplitConfig(cohort="cohort", output=tmp_path / "out", folds=3)
    file = tmp_path / "abc"
    file.write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_of(file) == digest
    text = provenance("split", config, {"a file": digest}, {"torch": "2.0"})
    assert "neuropretrain split --cohort cohort" in text
    assert "--folds 3" in text
    assert "config.yaml&quot;" in text
    assert "folds: 3" in text
    for words in (digest, "software: torch", "software: napari-neuropretrain", "UTC"):
        assert words in text
