"""``python -m napari_neuropretrain`` is the command ``neuropretrain``."""

from napari_neuropretrain.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
