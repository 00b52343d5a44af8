"""Views per second beside the same chain of MONAI's dictionary transforms.

    python benchmarks/views.py [--edge 80] [--batch-size 32] [--rounds 5]
        [--threads 1] [--device cpu] [--steps]

Both make one view of each volume: flip, affine, crop and enlarge, blur, contrast,
noise and cutout, each with the chances and ranges of `ViewOptions`. Ours works on the
batch; MONAI on one volume at a time, once in this process with so many threads, once
in a data loader with so many workers of one thread, and without the tracking of
affines, which is faster. The ratio is to the better of both.

All take turns, every round draws the same, and the fastest round of each counts. A
round of ours is several batches, so that it lasts about as long. With `--steps`, each
change is also timed alone, always happening, without the loader.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable

import monai.data
import monai.transforms as mt
import numpy as np
import torch
from torch import Tensor

from napari_neuropretrain.config.options.views import ViewOptions
from napari_neuropretrain.data.template import load_template
from napari_neuropretrain.training.views import Views

STEPS = ("flip", "affine", "crop", "blur", "intensity", "noise", "cutout")
BATCHES = 6
"""Of ours in one round."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edge", type=int, default=80)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", action="store_true")
    given = parser.parse_args()
    monai.data.set_track_meta(False)
    torch.set_num_threads(given.threads)
    ellipsoids = brains(given.batch_size, given.edge)
    real = template_brains(given.batch_size, given.edge)
    print(
        f"{given.edge}^3, {given.threads} threads, volumes per second, {given.device}"
    )
    print(f"{'':28}{'ours':>10}{'MONAI':>10}{'in loader':>11}{'ratio':>8}")
    rows = [("all, ellipsoids", ViewOptions(), ellipsoids, given.threads)]
    rows += [("all, template brain", ViewOptions(), real, given.threads)]
    if given.steps:
        rows += [(f"{step} alone", only(step), ellipsoids, 0) for step in STEPS]
    for name, options, volumes, workers in rows:
        ours, theirs, loaded = compare(
            options, volumes, given.rounds, given.device, workers
        )
        share = 100 * float((volumes != 0).float().mean())
        ratio = ours / max(theirs, loaded)
        print(
            f"{f'{name} ({share:.0f} %)':28}{ours:>10.1f}{theirs:>10.1f}"
            f"{loaded or math.nan:>11.1f}{ratio:>8.1f}",
            flush=True,
        )


def brains(count: int, edge: int) -> Tensor:
    """Return noise in an ellipsoid that fills two fifths of the volume."""
    ticks = torch.linspace(-1, 1, edge) ** 2
    radius = (ticks[:, None, None] + ticks[:, None] + ticks).sqrt()
    return torch.randn(count, 1, edge, edge, edge) * (radius < 0.92)


def template_brains(count: int, edge: int) -> Tensor:
    """Return the template with some noise, z-scored in its brain as scans are."""
    template = load_template((edge,) * 3, 160 / edge)
    mask = torch.from_numpy(template.brain_mask)
    noise = 0.05 * torch.randn(count, 1, edge, edge, edge)
    volumes = torch.from_numpy(np.ascontiguousarray(template.data)) + noise
    inside = volumes[..., mask]
    return (volumes - inside.mean()) / inside.std() * mask


def only(step: str) -> ViewOptions:
    """Return options by which one change always happens, and no other."""
    chances = {f"{one}_probability": float(one == step) for one in STEPS}
    return ViewOptions.parse(chances)


def compare(
    options: ViewOptions, volumes: Tensor, rounds: int, device: str, workers: int
) -> tuple[float, float, float]:
    """Return volumes per second of ours, MONAI's, and MONAI's in a loader (or 0)."""
    views, chain = Views(options), monai_chain(options, volumes.shape[-1])
    generator = torch.Generator()
    there = volumes.to(device)

    def ours() -> None:
        for _ in range(BATCHES):
            views(there, generator.manual_seed(0))
        if there.is_cuda:
            torch.cuda.synchronize()

    def theirs() -> None:
        chain.set_random_state(0)
        for volume in volumes:
            chain({"image": volume.clone()})

    copied = mt.Compose([mt.Lambdad("image", torch.clone), chain])
    loader = monai.data.DataLoader(
        monai.data.Dataset([{"image": volume} for volume in volumes], copied),
        batch_size=4,
        num_workers=workers,
        persistent_workers=workers > 0,
    )

    def loaded() -> None:
        for _ in loader:
            pass

    chosen = [ours, theirs, loaded][: 3 if workers else 2]
    for function in chosen:
        function()  # the first call of each is slow
    best = dict.fromkeys(chosen, math.inf)
    for _ in range(rounds):
        for function in chosen:
            best[function] = min(best[function], seconds(function))
    count = len(volumes)
    return (
        BATCHES * count / best[ours],
        count / best[theirs],
        count / best[loaded] if workers else 0.0,
    )


def seconds(function: Callable[[], None]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def monai_chain(options: ViewOptions, edge: int) -> mt.Compose:
    """Return MONAI's transforms that come closest to our views."""
    key, turn = "image", math.radians(options.rotation_degrees)
    box = round(options.cutout_extent[0] * edge)
    low, high = options.gamma
    affine = mt.RandAffined(
        key,
        prob=options.affine_probability,
        rotate_range=(turn,) * 3,
        scale_range=(options.scaling,) * 3,
        translate_range=(options.translation_voxels,) * 3,
        padding_mode="zeros",
        cache_grid=True,
        spatial_size=(edge,) * 3,
    )
    zoom = mt.RandZoomd(
        key,
        prob=options.crop_probability,
        min_zoom=1 / options.crop_extent[1],
        max_zoom=1 / options.crop_extent[0],
        mode="trilinear",
    )
    chance = options.intensity_probability
    return mt.Compose(
        [
            mt.RandFlipd(key, prob=options.flip_probability, spatial_axis=0),
            affine,
            zoom,
            mt.RandGaussianSmoothd(
                key,
                *(options.blur_sigma,) * 3,
                prob=options.blur_probability,
            ),
            mt.RandAdjustContrastd(key, prob=chance, gamma=(low, high)),
            mt.RandScaleIntensityd(key, factors=options.gain, prob=chance),
            mt.RandShiftIntensityd(key, offsets=options.shift, prob=chance),
            mt.RandGaussianNoised(
                key, prob=options.noise_probability, std=options.noise_sigma[1]
            ),
            mt.RandCoarseDropoutd(
                key,
                holes=1,
                spatial_size=box,
                fill_value=0,
                prob=options.cutout_probability,
            ),
        ]
    )


if __name__ == "__main__":
    main()
