"""Opening the dock widgets: light imports, quickly."""

from __future__ import annotations

import json
import os
import subprocess
import sys

SCRIPT = """
import json, sys, time
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication
import napari.qt.threading
app = QApplication([])
viewer = ViewerModel()
before = set(sys.modules)
began = time.process_time()
from napari_neuropretrain.gui import widgets
first = None
names = ("Preprocess", "Review", "Pretrain", "Finetune", "Predict", "Explain", "Runs")
names += ("Guide", "Explanation", "Planes")
for name in [f"{name}Widget" for name in names]:
    widget = getattr(widgets, name)(viewer)
    first = first or time.process_time() - began
heavy = {"torch", "monai", "lightning", "ants", "SimpleITK", "sklearn", "nilearn"}
found = sorted(heavy & {name.partition(".")[0] for name in sys.modules})
print(json.dumps({"first_s": first, "heavy": found}))
"""


def test_widgets_open_fast_and_import_nothing_heavy():
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    measured = json.loads(done.stdout.splitlines()[-1])
    print(f"The first widget opened in {measured['first_s']:.2f} s.")
    assert measured["heavy"] == []
    # 1 s is promised; a slow test machine may take twice that. Seconds of the CPU,
    # so that other programs do not count.
    assert measured["first_s"] < 2.0
