"""How long each panel takes to open in the real viewer, and what it imports.

    python benchmarks/opening.py [--times 3]

Each panel is opened in a napari of its own, as the first of the plugin's panels, and
then a second time, from the call until the window is drawn. On Linux without a display,
put ``xvfb-run -a -s "-screen 0 1600x1000x24"`` in front.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from typing import Any

PANELS = (
    *("Guided path", "Cohort", "Preprocess", "Review quality", "Pre-train"),
    *("Fine-tune", "Predict", "Explain", "Explanation", "Three planes", "Runs"),
)
HEAVY = ("torch", "monai", "lightning", "ants", "SimpleITK", "sklearn", "nilearn")
HEAVY += ("pandas", "scipy", "matplotlib")
OPEN = """
import json, sys, time
import napari
from qtpy.QtWidgets import QApplication
viewer = napari.Viewer()
def draw():
    viewer.window._qt_window.repaint()
    QApplication.processEvents()
end = time.monotonic() + 2
while time.monotonic() < end:
    draw()
before, taken, busy = set(sys.modules), [], []
for _ in range(2):
    began, used = time.perf_counter(), time.process_time()
    dock, panel = viewer.window.add_plugin_dock_widget(
        "napari-neuropretrain", sys.argv[1])
    draw()
    taken.append(time.perf_counter() - began)
    busy.append(time.process_time() - used)
    viewer.window.remove_dock_widget(dock)
    draw()
new = {name.partition(".")[0] for name in set(sys.modules) - before}
found = {"first": taken[0], "second": taken[1], "busy": busy[0]}
print(json.dumps(found | {"new": sorted(new)}))
viewer.close()
QApplication.processEvents()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=3)
    times = parser.parse_args().times
    print("| panel | first, s | processor, s | again, s | heavy imports |")
    print("|---|---|---|---|---|")
    for panel in PANELS:
        runs = [measure(panel) for _ in range(times)]
        first, busy, second = (
            statistics.median(run[which] for run in runs)
            for which in ("first", "busy", "second")
        )
        heavy = sorted({name for run in runs for name in run["new"]} & set(HEAVY))
        found = ", ".join(heavy) or "none"
        times_s = f"{first:.2f} | {busy:.2f} | {second:.2f}"
        print(f"| {panel} | {times_s} | {found} |", flush=True)


def measure(panel: str) -> dict[str, Any]:
    """Open one panel in a new napari."""
    command = [sys.executable, "-c", OPEN, panel]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    found: dict[str, Any] = json.loads(lines[-1])
    return found


if __name__ == "__main__":
    main()
