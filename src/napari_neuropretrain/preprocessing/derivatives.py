"""What preprocessing leaves on disk: BIDS derivatives, one set of files a scan.

The point transform ``from-T1w_to-MNI152`` is stored the way ITK and ANTs store it
for resampling images: it takes a *template* point (LPS mm) to the *scan* point whose
intensity belongs there. ``Transform`` in the JSON is the other way round, scan RAS mm
to template RAS mm.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain import __version__
from napari_neuropretrain.config.base import write_text
from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.data.bids import PREPROCESSED_SUFFIX
from napari_neuropretrain.data.orientation import swap_ras_lps_transform
from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.data.volumes import Volume, read_volume, write_image
from napari_neuropretrain.errors import ConfigError, ImageError
from napari_neuropretrain.preprocessing import acceptance, registration
from napari_neuropretrain.preprocessing.pipeline import Preprocessed

MASK_SUFFIX = "_space-MNI152_desc-brain_mask.nii.gz"
SCAN_MASK_SUFFIX = "_desc-brain_mask.nii.gz"
TRANSFORM_SUFFIX = "_from-T1w_to-MNI152_mode-image_xfm.txt"
PACKAGES = ("numpy", "scipy", "nibabel", "SimpleITK", "nilearn", "torch")


@dataclass(frozen=True, eq=False)
class Derivative:
    """A preprocessed scan read back.

    Parameters
    ----------
    image
        float32 (X, Y, Z) on the template's grid.
    affine
        Voxel to template RAS mm (4, 4).
    brain_mask
        Brain on the same grid.
    transform
        Scan RAS mm to template RAS mm (4, 4).
    contract
        How it was preprocessed.
    json
        The whole sidecar.
    """

    image: NDArray[np.float32]
    affine: NDArray[np.float64]
    brain_mask: NDArray[np.bool_]
    transform: NDArray[np.float64]
    contract: PreprocessingContract
    json: dict[str, Any]


def derivative_path(output: Path, scan: Scan) -> Path:
    """Return where the preprocessed image of `scan` belongs.

    Examples
    --------
    >>> scan = Scan("sub-01", "ses-02", Path("t1.nii.gz"))
    >>> derivative_path(Path("out"), scan).as_posix()
    'out/sub-01/ses-02/anat/sub-01_ses-02_space-MNI152_desc-preproc_T1w.nii.gz'
    """
    folder = Path(output) / scan.participant / (scan.session or "") / "anat"
    return folder / f"{scan.key}{PREPROCESSED_SUFFIX}"


def write_derivative(
    output: Path,
    scan: Scan,
    volume: Volume,
    done: Preprocessed,
    contract: PreprocessingContract,
    source: dict[str, Any],
) -> Path:
    """Write all files of one scan, the sidecar of the image last.

    Parameters
    ----------
    output
        Root of the derivatives.
    scan, volume, done
        Which scan, as read, and as preprocessed.
    contract
        What the image promises.
    source
        Path, size and hash of the raw file.

    Returns
    -------
    Path
        The preprocessed image. Without its JSON it counts as not done.
    """
    image = derivative_path(output, scan)
    remove_derivative(image)
    stem = _stem(image)
    scan_mask = volume.to_native(done.scan_mask.astype(np.uint8))
    write_image(_beside(image, SCAN_MASK_SUFFIX), scan_mask, volume.native_affine)
    _write_json(stem + SCAN_MASK_SUFFIX, {"Type": "Brain", "Source": source})
    in_template = done.brain_mask.astype(np.uint8)
    write_image(_beside(image, MASK_SUFFIX), in_template, done.affine)
    _write_json(stem + MASK_SUFFIX, {"Type": "Brain", "Source": source})
    write_transform(_beside(image, TRANSFORM_SUFFIX), done.transform)
    _write_json(stem + TRANSFORM_SUFFIX, _transform_notes(contract))
    write_image(image, done.image, done.affine)
    _write_json(str(image), _image_notes(done, contract, source))
    return image


def remove_derivative(image: Path) -> None:
    """Forget that a scan was done: take its image and sidecar away.

    What a killed process was writing for this scan goes, too.
    """
    sidecar(image).unlink(missing_ok=True)
    image.unlink(missing_ok=True)
    key = image.name.removesuffix(PREPROCESSED_SUFFIX)
    for pattern in (f".{key}_*", f".part-*-{key}_*"):
        for partial in image.parent.glob(pattern):
            partial.unlink(missing_ok=True)


def read_derivative(path: Path | str) -> Derivative:
    """Read a preprocessed image with its mask, transform and contract.

    Raises
    ------
    ImageError
        If a file is missing or damaged; says to preprocess the scan again.
    """
    image = Path(path)
    notes = read_sidecar(image)
    contract = contract_of(image, notes)
    try:
        transform = np.array(notes["Transform"], dtype=float).reshape(4, 4)
    except (KeyError, TypeError, ValueError) as error:
        raise _unclear(image, error) from None
    volume = read_volume(image)
    mask = read_volume(_beside(image, MASK_SUFFIX)).data > 0.5
    if not volume.data.shape == mask.shape == contract.shape:
        raise ImageError(
            f"'{image}' is {volume.data.shape}, its mask {mask.shape}, and its JSON "
            f"says {contract.shape}. Preprocess the scan again."
        )
    return Derivative(volume.data, volume.affine, mask, transform, contract, notes)


def contract_of(image: Path, notes: Mapping[str, Any]) -> PreprocessingContract:
    """Return how an image was preprocessed, as its sidecar `notes` say.

    Raises
    ------
    ImageError
        If they do not say it in a way that this version knows.
    """
    try:
        return PreprocessingContract.parse(
            dict(notes["Contract"]), f"'{sidecar(image)}'"
        )
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise _unclear(image, error) from None


def _unclear(image: Path, error: Exception) -> ImageError:
    return ImageError(
        f"'{sidecar(image)}' does not say how the scan was preprocessed "
        f"({error}). Preprocess the scan again."
    )


def read_sidecar(image: Path) -> dict[str, Any]:
    """Return the JSON beside a preprocessed image.

    Raises
    ------
    ImageError
        If it is missing or damaged.
    """
    try:
        notes = json.loads(sidecar(image).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ImageError(
            f"'{image}' has no readable JSON beside it ({error}). Give an image that "
            "this package preprocessed, or preprocess the scan."
        ) from None
    if not isinstance(notes, dict):
        raise ImageError(f"'{sidecar(image)}' must hold a JSON object.")
    return notes


def sidecar(image: Path | str) -> Path:
    """Return the JSON that belongs to a file.

    Examples
    --------
    >>> sidecar("a_T1w.nii.gz").name, sidecar("b_xfm.txt").name
    ('a_T1w.json', 'b_xfm.json')
    """
    path = Path(image)
    name = path.name.removesuffix(".gz")
    return path.with_name(name.rsplit(".", 1)[0] + ".json")


def write_transform(path: Path, transform: NDArray[np.float64]) -> None:
    """Write an ITK affine transform (template LPS mm to scan LPS mm).

    Parameters
    ----------
    path
        Text file that ANTs and SimpleITK read.
    transform
        Scan RAS mm to template RAS mm (4, 4).
    """
    points = swap_ras_lps_transform(np.linalg.inv(transform))
    numbers = [*points[:3, :3].ravel(), *points[:3, 3]]
    write_text(
        path,
        "#Insight Transform File V1.0\n#Transform 0\n"
        "Transform: AffineTransform_double_3_3\n"
        f"Parameters: {' '.join(repr(float(number)) for number in numbers)}\n"
        "FixedParameters: 0 0 0\n",
    )


def _stem(image: Path) -> str:
    return str(image).removesuffix(PREPROCESSED_SUFFIX)


def _beside(image: Path, suffix: str) -> Path:
    return Path(_stem(image) + suffix)


def _write_json(of: str, notes: dict[str, Any]) -> None:
    write_text(sidecar(of), json.dumps(notes, indent=2, ensure_ascii=False) + "\n")


def _transform_notes(contract: PreprocessingContract) -> dict[str, Any]:
    return {
        "Description": (
            "ITK affine for resampling images: template LPS mm to scan LPS mm. "
            f"{contract.registration.dof} degrees of freedom."
        ),
        "Template": contract.template,
    }


def _image_notes(
    done: Preprocessed, contract: PreprocessingContract, source: dict[str, Any]
) -> dict[str, Any]:
    return {
        "SkullStripped": True,
        "Contract": contract.model_dump(mode="json"),
        "Source": source,
        "Transform": done.transform.tolist(),
        "Parameters": {
            "Registration": {
                "StartTiltsDegrees": registration.START_TILTS_DEGREES,
                "Limits": acceptance.LIMITS,
            },
            "Resampling": {"Mask": "linear, 0.5"},
        },
        "Quality": done.details,
        "Versions": {"napari-neuropretrain": __version__}
        | {name: version(name) for name in PACKAGES},
    }
