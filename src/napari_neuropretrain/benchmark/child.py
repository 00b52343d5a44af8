"""A process that runs the steps of one cell: what happens in it stays in it.

Started by `launch`, which writes the steps as one line of JSON to its standard input,
and keeps that open: when it ends, whoever started this is gone, and this leaves, too.
"""

from __future__ import annotations

import json
import os
import sys
import threading

from napari_neuropretrain.config.jobs import JOBS
from napari_neuropretrain.errors import Cancelled, NeuropretrainError
from napari_neuropretrain.process_settings import settle_process
from napari_neuropretrain.runs import EXIT_DONE, EXIT_FAILED, EXIT_STOPPED, execute


def main() -> int:
    """Run each step; after a failed first one nothing more can be done."""
    steps = json.loads(sys.stdin.readline())
    threading.Thread(target=_watch, daemon=True).start()
    settle_process()
    code = EXIT_DONE
    for index, (job, values) in enumerate(steps):
        try:
            execute(JOBS, job, JOBS[job].options.parse(values))
        except Cancelled:
            return EXIT_STOPPED
        except NeuropretrainError as error:
            print(error, file=sys.stderr, flush=True)
            code = EXIT_FAILED
            if index == 0:
                break
    return code


def _watch() -> None:
    """Leave at once when the parent is gone; checkpoints are whole at any time."""
    # Not by sys.stdin: its lock would keep the process from ending.
    while os.read(0, 1024):
        pass
    os._exit(EXIT_STOPPED)


if __name__ == "__main__":
    sys.exit(main())
