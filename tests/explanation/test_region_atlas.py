"""Atlases by name, through fetchers that give files in nilearn's format."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn import datasets
from nilearn.datasets.atlas import Atlas

from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.explanation.region_atlas import ATLASES, open_atlas
from napari_neuropretrain.explanation.region_clusters import (
    COLUMNS,
    Regions,
    cluster_rows,
    clusters_table,
)
from napari_neuropretrain.explanation.region_table import open_regions
from napari_neuropretrain.explanation.regions import Peak

AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])
AFFINE[:3, 3] = -14


def image_of(places):
    data = np.zeros((8, 8, 8), np.uint8)
    for number, where in places.items():
        data[where] = number
    return nib.Nifti1Image(data, AFFINE)


def atlas_of(maps, names):
    lut = pd.DataFrame({"index": range(len(names)), "name": names})
    how = {"description": "", "atlas_type": "deterministic", "template": "MNI152"}
    return Atlas(maps=maps, labels=names, lut=lut, **how)


def test_each_fetcher_is_called_as_nilearn_has_it():
    """The names and arguments exist; nothing is fetched."""
    import inspect

    for parts in ATLASES.values():
        for part in parts:
            fetcher = getattr(datasets, part.fetcher)
            inspect.signature(fetcher).bind(**part.arguments, verbose=0)


def test_an_atlas_of_a_file(tmp_path, monkeypatch):
    path = tmp_path / "aal.nii.gz"
    nib.save(image_of({1: np.s_[:4, :4], 2: np.s_[4:, :4]}), path)
    asked = {}

    def fetch(version, verbose):
        asked.update(version=version)
        return atlas_of(str(path), ["Background", "Hippocampus_L", "Hippocampus_R"])

    monkeypatch.setattr(datasets, "fetch_atlas_aal", fetch)
    regions = open_regions("aal", AFFINE, (8, 8, 8))
    assert asked == {"version": "SPM12"}
    assert regions.names == {1: "Hippocampus_L", 2: "Hippocampus_R"}
    expected = image_of({1: np.s_[:4, :4], 2: np.s_[4:, :4]}).dataobj
    np.testing.assert_array_equal(regions.labels, expected)


def test_parts_of_an_atlas_become_one(monkeypatch):
    cortex = ["Background", "Frontal Pole", "Insular Cortex"]
    below = ["Background", "Left Cerebral Cortex", "Left Hippocampus"]

    def fetch(atlas_name, verbose):
        if atlas_name.startswith("cort"):
            return atlas_of(image_of({1: np.s_[:, 6:], 2: np.s_[:4, :4]}), cortex)
        return atlas_of(image_of({1: np.s_[:4, :, :4], 2: np.s_[0, 0]}), below)

    monkeypatch.setattr(datasets, "fetch_atlas_harvard_oxford", fetch)
    volume, names = open_atlas("harvard_oxford")
    assert names == {2: "Left Hippocampus", 3: "Frontal Pole", 4: "Insular Cortex"}
    assert set(np.unique(volume.data)) == {0, 2, 3, 4}
    assert (volume.data[0, 0] == 2).all()  # it goes before the cortex
    assert (volume.data[1:4, :4] == 4).all()
    assert (volume.data[:, 6:] == 3).all()


def test_without_network_it_says_what_to_do(monkeypatch):
    def fetch(**_):
        raise ConnectionError("no route")

    monkeypatch.setattr(datasets, "fetch_atlas_destrieux_2009", fetch)
    with pytest.raises(ConfigError, match=r"'destrieux' .* could not be fetched") as e:
        open_atlas("destrieux")
    assert str(datasets.get_data_dirs()[0]) in str(e.value)
    assert "give a label image" in str(e.value)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"'brodman' .* harvard_oxford, aal"):
        open_atlas("brodman")


def test_clusters_have_sign_size_and_the_region_of_their_side():
    labels = np.zeros((8, 8, 8), int)
    labels[0, 0, 0], labels[7, 0, 0], labels[4, 4, 4] = 5, 5, 6
    regions = Regions(labels, {5: "Amygdala", 6: "Right Putamen"})
    peaks = [
        Peak(0.5, -14.0, -14.0, -14.0, 3, 192.0),
        Peak(-0.4, 14.0, -14.0, -10.0, 1, 64.0),
        Peak(0.3, 2.0, 2.0, 2.0, 1, 64.0),
        Peak(0.2, 14.0, 14.0, 14.0, 1, 64.0),
    ]
    rows = cluster_rows(peaks, AFFINE, regions)
    assert rows[0] == (0.5, -14, -14, -14, 192, "positive", "left Amygdala")
    assert rows[1] == (-0.4, 14, -14, -10, 64, "negative", "right Amygdala")
    assert [row[-1] for row in rows[2:]] == ["Right Putamen", "n/a"]
    lines = clusters_table(rows).splitlines()
    assert lines[0].split("\t") == list(COLUMNS)
    assert lines[2].split("\t")[-2:] == ["negative", "right Amygdala"]
    assert cluster_rows(peaks[:1], AFFINE)[0][-1] == "n/a"
