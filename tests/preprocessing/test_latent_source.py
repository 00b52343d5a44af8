"""The latent diffusion source on a tiny bundle of random weights."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.networks.nets.autoencoderkl import AutoencoderKL
from monai.networks.nets.diffusion_model_unet import DiffusionModelUNet
from torch import Tensor

from napari_neuropretrain.config.catalog import SOURCES
from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.jobs import SynthesiseConfig
from napari_neuropretrain.config.options.sources import LatentDiffusionOptions
from napari_neuropretrain.data.participants import read_cohort
from napari_neuropretrain.data.template import template_grid
from napari_neuropretrain.data.volumes import Volume
from napari_neuropretrain.errors import (
    Cancelled,
    CheckpointError,
    CohortError,
    ConfigError,
    ImageError,
)
from napari_neuropretrain.preprocessing import latent_source
from napari_neuropretrain.preprocessing.derivatives import read_derivative
from napari_neuropretrain.preprocessing.latent_source import LatentDiffusionSource
from napari_neuropretrain.preprocessing.pipeline import Preprocessed
from napari_neuropretrain.preprocessing.synthesise import synthesise
from napari_neuropretrain.progress import Progress, Report, silent
from napari_neuropretrain.synthesis.head import build_head
from napari_neuropretrain.synthesis.latent_bundle import Bundle, read_bundle
from napari_neuropretrain.synthesis.latent_conditions import draw_conditions
from napari_neuropretrain.synthesis.latent_diffusion import (
    decode_latent,
    draw_latent,
    draw_noise,
)
from napari_neuropretrain.synthesis.latent_networks import (
    build_networks,
    build_scheduler,
    fill_network,
    load_networks,
    spellings,
)
from napari_neuropretrain.synthesis.source import VolumeSource

AUTOENCODER = {
    "spatial_dims": 3,
    "channels": [4, 8, 8, 8],
    "latent_channels": 3,
    "num_res_blocks": 1,
    "norm_num_groups": 4,
    "norm_eps": 1e-6,
    "attention_levels": [False, False, False, False],
    "with_encoder_nonlocal_attn": False,
    "with_decoder_nonlocal_attn": False,
}
DIFFUSION = {
    "spatial_dims": 3,
    "in_channels": 7,
    "out_channels": 3,
    "channels": [4, 8, 12],
    "num_res_blocks": 1,
    "attention_levels": [False, True, True],
    "norm_num_groups": 4,
    "resblock_updown": True,
    "num_head_channels": [0, 8, 12],
    "with_conditioning": True,
    "cross_attention_dim": 4,
    "upcast_attention": True,
}
EXPRESSIONS = {
    "imports": ["$import torch"],
    "noise": "$torch.randn((1, 3, 4, 4, 4)).to(@device)",
    "run": "$@saver(@sample[0][0])",
}


def old_name(name: str) -> str:
    """Name a tensor as MONAI Generative 0.2.3 did."""
    for new, old in (
        (".postconv.conv.", ".conv.conv."),
        (".attn.out_proj.", ".proj_attn."),
        (".out_proj.", ".to_out.0."),
        (".attn.to_", ".to_"),
    ):
        name = name.replace(new, old)
    return name


def random_state(network: torch.nn.Module) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {
        name: 0.2 * torch.randn(tensor.shape, generator=generator)
        for name, tensor in network.state_dict().items()
    }


def write_bundle(folder: Path, old: bool = True, **config: object) -> Path:
    """Write a bundle with the published names of files and settings."""
    networks = build_networks(tiny_bundle())
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    for network, name in (
        (networks.autoencoder, "autoencoder.pt"),
        (networks.diffusion, "model.pt"),
    ):
        state = random_state(network)
        named = {old_name(key) if old else key: one for key, one in state.items()}
        torch.save(named, folder / "models" / name)
    kind = "monai.networks.nets."
    settings = EXPRESSIONS | {
        "autoencoder_def": {"_target_": kind + "AutoencoderKL", **AUTOENCODER},
        "diffusion_def": {
            "_target_": kind + "DiffusionModelUNet",
            "use_flash_attention": False,
            **DIFFUSION,
        },
        "scheduler": {
            "_target_": "monai.networks.schedulers.DDIMScheduler",
            "_requires_": ["@load_diffusion", "@load_autoencoder"],
            "beta_start": 0.0015,
            "beta_end": 0.0205,
            "num_train_timesteps": 1000,
            "schedule": "scaled_linear_beta",
            "clip_sample": False,
        },
    }
    text = json.dumps(settings | config)
    (folder / "configs" / "inference.json").write_text(text, encoding="utf-8")
    return folder


def tiny_bundle() -> Bundle:
    plain = Bundle(Path("tiny"))
    return Bundle(
        Path("tiny"),
        plain.autoencoder.replace(**AUTOENCODER),
        plain.diffusion.replace(**DIFFUSION),
        latent_shape=(3, 4, 4, 4),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundles") / "old")


def options_for(folder: Path, **changes: object) -> LatentDiffusionOptions:
    plain = LatentDiffusionOptions(
        path=folder, participants=6, steps=4, device="cpu", shape=24, spacing_mm=4.0
    )
    return plain.replace(**changes)


def opened(folder: Path, report: Report = silent, **changes: object):
    source = SOURCES["latent_diffusion"].load()(options_for(folder, **changes), report)
    assert isinstance(source, LatentDiffusionSource)
    return source


def shrunk(
    volume: Volume, contract: PreprocessingContract, report: Report, threads: int
) -> Preprocessed:
    """Stand in for the preprocessing, which random images do not pass."""
    image = volume.data[:24, :24, :24] - volume.data.mean()
    affine = template_grid(contract.shape, contract.spacing_mm)
    inside = np.zeros(image.shape, bool)
    inside[2:-2, 2:-2, 2:-2] = True
    image = np.where(inside, image, 0).astype(np.float32)
    return Preprocessed(image, affine, inside, inside, np.eye(4), {})


def test_published_networks_have_the_published_size() -> None:
    with torch.device("meta"):
        networks = build_networks(Bundle(Path("published")))
    sizes = [
        sum(one.numel() for one in network.parameters()) / 1e6
        for network in (networks.autoencoder, networks.diffusion)
    ]
    assert sizes == pytest.approx([13.77, 553.2], abs=0.05)


def test_a_bundle_without_config_has_the_published_settings(tmp_path: Path) -> None:
    write_bundle(tmp_path / "b")
    (tmp_path / "b" / "configs" / "inference.json").unlink()
    bundle = read_bundle(tmp_path / "b")
    assert bundle.latent_shape == (3, 20, 28, 20)
    assert bundle.diffusion.channels == (256, 512, 768)
    assert "published settings" in bundle.notes[0]


@pytest.mark.parametrize("old", [True, False], ids=["generative", "core"])
def test_every_tensor_lands_where_it_was(tmp_path: Path, old: bool) -> None:
    bundle = read_bundle(write_bundle(tmp_path / "b", old))
    loaded = load_networks(bundle, torch.device("cpu"))
    for network in (loaded.autoencoder, loaded.diffusion):
        state, wanted = network.state_dict(), random_state(network)
        assert state.keys() == wanted.keys()
        assert all(torch.equal(state[name], one) for name, one in wanted.items())


def test_old_names_are_read_as_monai_reads_them(folder: Path) -> None:
    """MONAI's own translation is the reference, where it is right (1.6.1)."""
    bundle = read_bundle(folder)
    ours = load_networks(bundle, torch.device("cpu"))
    theirs = build_networks(bundle)
    for part, network in (
        ("autoencoder", theirs.autoencoder),
        ("diffusion", theirs.diffusion),
    ):
        network.load_old_state_dict(torch.load(bundle.files[part]))
    latent, context = torch.randn(1, 3, 4, 4, 4), torch.rand(1, 1, 4)
    given, when = torch.randn(1, 7, 4, 4, 4), torch.tensor([321])
    with torch.no_grad():
        assert torch.equal(
            ours.autoencoder.decode_stage_2_outputs(latent),
            theirs.autoencoder.decode_stage_2_outputs(latent),
        )
        assert torch.equal(
            ours.diffusion(given, when, context),
            theirs.diffusion(given, when, context),
        )


def test_attention_of_old_files_is_read(tmp_path: Path) -> None:
    """Issue 8030 of MONAI: the projection of the attention was lost."""
    with_attention = AUTOENCODER | {"with_decoder_nonlocal_attn": True}
    network = AutoencoderKL(in_channels=1, out_channels=1, **with_attention)
    state = random_state(network)
    assert any("attn.out_proj" in name for name in state)
    torch.save({old_name(n): t for n, t in state.items()}, tmp_path / "a.pt")
    fill_network(network, tmp_path / "a.pt")
    filled = network.state_dict()
    assert all(torch.equal(filled[name], tensor) for name, tensor in state.items())


@pytest.mark.parametrize("fault", ["missing", "unexpected", "misshapen", "reshaped"])
def test_a_file_that_does_not_fill_exactly_is_refused(
    tmp_path: Path, fault: str
) -> None:
    network = DiffusionModelUNet(**DIFFUSION)
    before = {name: one.clone() for name, one in network.state_dict().items()}
    state = random_state(network)
    name = "out.2.conv.bias"
    if fault == "missing":
        del state[name]
    elif fault == "unexpected":
        state["extra.weight"] = torch.ones(2)
    elif fault == "misshapen":
        state[name] = torch.ones(5)
    else:  # one of its layers has a single input channel, as stems have
        network = AutoencoderKL(in_channels=1, out_channels=1, **AUTOENCODER)
        before = {name: one.clone() for name, one in network.state_dict().items()}
        state = random_state(network)
        stem = "encoder.blocks.0.conv.weight"
        state[stem] = state[stem].repeat(1, 3, 1, 1, 1)
    torch.save(state, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match=r"does not fill .* exactly"):
        fill_network(network, tmp_path / "model.pt")
    now = network.state_dict()
    assert all(torch.equal(now[name], one) for name, one in before.items())


def test_spellings_keep_the_name_itself() -> None:
    assert spellings("time_embed.0.weight") == ["time_embed.0.weight"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noise": "$__import__('os').system('true')"}, "noise is .*not understood"),
        (
            {"autoencoder_def": AUTOENCODER | {"channels": "$[1, 2]"}},
            r"autoencoder_def\.channels",
        ),
        ({"diffusion_def": DIFFUSION | {"channels": "@nowhere"}}, "@nowhere"),
        ({"diffusion_def": DIFFUSION | {"magic": 3}}, "magic: unknown setting"),
        (
            {"diffusion_def": DIFFUSION | {"_target_": "os.system"}},
            "'os.system', and only MONAI's DiffusionModelUNet",
        ),
        ({"diffusion_def": DIFFUSION | {"in_channels": 3}}, "do not fit"),
        ({"scale_factor": "$1 / 3"}, "scale_factor"),
    ],
)
def test_what_is_not_understood_is_refused(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        read_bundle(write_bundle(tmp_path / "b", **change))


def test_plain_references_are_followed(tmp_path: Path) -> None:
    linked = DIFFUSION | {"out_channels": "@latent"}
    bundle = read_bundle(
        write_bundle(tmp_path / "b", latent=3, diffusion_def=linked, scale_factor=2)
    )
    assert bundle.diffusion.out_channels == 3
    assert bundle.scale_factor == 2.0


def test_missing_weights_are_told_with_address_and_place(tmp_path: Path) -> None:
    write_bundle(tmp_path / "b")
    (tmp_path / "b" / "models" / "model.pt").unlink()
    with pytest.raises(CheckpointError) as error:
        opened(tmp_path / "b")
    assert "drive.google.com" in str(error.value)
    assert str(tmp_path / "b" / "models" / "model.pt") in str(error.value)


def slow_ddim(
    predict, noise: np.ndarray, times: list[int], start: float, end: float
) -> np.ndarray:
    """Eq. 12 of the DDIM paper with eta 0, in float64."""
    betas = np.linspace(np.sqrt(start), np.sqrt(end), 1000) ** 2
    kept = np.cumprod(1 - betas)
    latent = noise.astype(float)
    for time in times:
        before = time - 1000 // len(times)
        now, then = kept[time], kept[before] if before >= 0 else 1.0
        found = predict(latent, time)
        clean = (latent - np.sqrt(1 - now) * found) / np.sqrt(now)
        latent = np.sqrt(then) * clean + np.sqrt(1 - then) * found
    return latent


def test_denoising_follows_the_paper(folder: Path) -> None:
    bundle = read_bundle(folder)
    networks = load_networks(bundle, torch.device("cpu"))
    condition = draw_conditions(options_for(folder))[1]
    noise = draw_noise(bundle, 0, 1)
    vector = torch.tensor(condition.vector())

    @torch.no_grad()
    def predict(latent: np.ndarray, time: int) -> np.ndarray:
        constant = np.broadcast_to(
            np.array(condition.vector())[:, None, None, None], (4, 4, 4, 4)
        )
        given = torch.from_numpy(np.concatenate([latent[0], constant])[None]).float()
        when = torch.tensor([int(time)])
        return networks.diffusion(given, when, vector[None, None]).double().numpy()

    seen: list[tuple[int, int]] = []
    scheduler = build_scheduler(bundle, 5)
    found = draw_latent(
        networks, scheduler, noise, condition, lambda *at: seen.append(at)
    )
    times = scheduler.timesteps.tolist()
    assert times == sorted(times, reverse=True)
    wanted = slow_ddim(predict, noise.numpy(), times, 0.0015, 0.0205)
    assert found.numpy() == pytest.approx(wanted, rel=1e-3, abs=1e-3)
    assert seen == [(number, 5) for number in range(5)]
    assert decode_latent(networks, found).shape == (32, 32, 32)


def test_the_condition_matters_by_both_ways(folder: Path) -> None:
    """As channels and as context: silencing one leaves the other."""
    networks = load_networks(read_bundle(folder), torch.device("cpu"))
    with torch.no_grad():
        given, when = torch.zeros(2, 7, 4, 4, 4), torch.tensor([5])
        given[1, 3:] = 1
        none, full = torch.zeros(1, 1, 4), torch.ones(1, 1, 4)
        by_channels = networks.diffusion(given, when.repeat(2), none.repeat(2, 1, 1))
        by_context = networks.diffusion(given[:1], when, full)
    assert not torch.allclose(by_channels[0], by_channels[1])
    assert not torch.allclose(by_channels[:1], by_context)


def test_conditions(folder: Path) -> None:
    narrow = options_for(
        folder, participants=200, youngest=50, oldest=60, largest_ventricles=0.5
    )
    people = draw_conditions(narrow)
    assert draw_conditions(narrow.replace(participants=10)) == people[:10]
    sexes = [one.sex for one in people]
    assert sexes.count("f") == sexes.count("m") == 100
    assert sexes[::2].count("f") not in (0, 100)
    ages = np.array([one.age for one in people])
    assert 50 <= ages.min() < 50.5 < 59.5 < ages.max() <= 60
    assert ages.mean() == pytest.approx(55, abs=1)
    ventricles = np.array([one.ventricular_volume for one in people])
    assert 0 <= ventricles.min() < 0.02 < 0.48 < ventricles.max() <= 0.5
    brains = np.array([one.brain_volume for one in people])
    assert abs(np.corrcoef(ages, brains)[0, 1]) < 0.2
    vectors = np.array([one.vector() for one in people])
    assert vectors[:, 1] == pytest.approx((ages - 44) / 38)
    assert set(vectors[:, 0]) == {0.0, 1.0}
    other = draw_conditions(narrow.replace(seed=1))
    assert [one.age for one in other] != [one.age for one in people]


def test_bounds_of_the_conditions_are_checked(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"oldest: must be at least youngest \(70\)"):
        options_for(folder, youngest=70, oldest=60)


def test_a_source_of_labelled_reproducible_volumes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latent_source, "preprocess_scan", shrunk)
    source = opened(folder)
    assert isinstance(source, VolumeSource)
    assert len(source) == len(set(source.ids)) == 6
    assert source.ids[0] == "sub-ldm0n000001"
    volume = source.volume(2)
    assert volume.shape == (1, 24, 24, 24)
    assert volume.dtype == torch.float32
    more = opened(folder, participants=50)
    assert torch.equal(more.volume(2), volume)
    assert not torch.equal(source.volume(3), volume)
    assert not torch.equal(opened(folder, seed=1).volume(2), volume)
    assert not torch.equal(opened(folder, steps=5).volume(2), volume)
    assert source.classes("sex") == ("f", "m")
    assert source.label(2, "age") == source.conditions[2].age
    with pytest.raises(CohortError, match="no label 'weight'"):
        source.label(0, "weight")


def test_a_source_travels_and_keeps_what_it_drew(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latent_source, "preprocess_scan", shrunk)
    heard: list[Progress] = []
    source = opened(folder, heard.append, cache=str(tmp_path / "drawn"))
    volume = source.volume(0)
    assert [one.step for one in heard if one.total == 4] == [0, 1, 2, 3]
    copy = pickle.loads(pickle.dumps(source))
    monkeypatch.setattr(latent_source, "draw_head", None)  # nothing is drawn again
    assert torch.equal(copy.volume(0), volume)


def test_a_wish_to_stop_is_heard_between_steps(folder: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.step == 2:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        opened(folder, stop).volume(0)


def test_what_is_no_brain_is_an_error_of_that_volume(folder: Path) -> None:
    with pytest.raises(ImageError, match=r"Volume 1, drawn for .* cannot be prep"):
        opened(folder).volume(1)


def test_more_steps_than_the_model_knows(tmp_path: Path) -> None:
    short = write_bundle(tmp_path / "b", scheduler={"num_train_timesteps": 10})
    with pytest.raises(ConfigError, match="more than the model's 10"):
        opened(short, steps=20)


def test_provenance_tells_files_apart(folder: Path, tmp_path: Path) -> None:
    told = opened(folder).provenance()
    assert "not the published file" in told["Weights"]["diffusion"]
    assert opened(folder).provenance() == told
    other = write_bundle(tmp_path / "b", old=False)
    assert opened(other).provenance()["Weights"].keys() == told["Weights"].keys()
    assert opened(other).provenance() != told


def test_a_drawn_cohort_goes_on_and_notices_other_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latent_source, "preprocess_scan", shrunk)
    bundle = write_bundle(tmp_path / "bundle")
    source = {"name": "latent_diffusion", "path": str(bundle), "participants": 3}
    source |= {"steps": 2, "device": "cpu", "shape": 24, "spacing_mm": 4.0}
    config = SynthesiseConfig.parse({"source": source, "output": tmp_path / "out"})
    synthesise(config, silent)
    scans = read_cohort(tmp_path / "out").scans
    first = [read_derivative(scan.path) for scan in scans]
    conditions = draw_conditions(config.source.options)
    assert [float(scan.row["age"]) for scan in scans] == [one.age for one in conditions]
    assert [scan.row["sex"] for scan in scans] == [one.sex for one in conditions]
    scans[1].path.unlink()
    assert "(2 were made before)" in synthesise(config, silent).message
    assert np.array_equal(read_derivative(scans[1].path).image, first[1].image)
    moved = bundle.rename(tmp_path / "elsewhere")
    elsewhere = config.replace(source=source | {"path": str(moved)})
    assert "(3 were made before)" in synthesise(elsewhere, silent).message
    networks = build_networks(tiny_bundle())
    state = {name: 2 * one for name, one in random_state(networks.diffusion).items()}
    torch.save(state, moved / "models" / "model.pt")
    assert "before" not in synthesise(elsewhere, silent).message
    again = read_derivative(scans[0].path)
    assert not np.array_equal(again.image, first[0].image)
    assert again.json["Source"]["Weights"] != first[0].json["Source"]["Weights"]


def test_a_drawn_head_comes_out_upright_on_the_template(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A head as the model stores it goes through the true preprocessing.

    The model's first axis runs to the left; a dark spot is planted 35 mm to the left.
    """
    head = build_head(1.5)
    x, y, z = np.meshgrid(
        np.arange(150) - 75, np.arange(214) - 125, np.arange(145) - 60, indexing="ij"
    )
    points = np.stack([-x.ravel(), y.ravel(), z.ravel(), np.ones(x.size)])
    places = np.round(np.linalg.inv(head.affine) @ points)[:3].astype(int)
    inside = ((places >= 0) & (places < np.array(head.t1.shape)[:, None])).all(0)
    values = np.zeros(x.size, np.float32)
    values[inside] = head.t1[tuple(places[:, inside])]
    spot = (x - 35) ** 2 + (y + 20) ** 2 + (z - 25) ** 2 < 10**2
    stored = np.where(spot, 0.1, values.reshape(x.shape)).astype(np.float32)
    padded = np.pad(stored, ((5, 5), (5, 5), (0, 15)))
    monkeypatch.setattr(
        "napari_neuropretrain.synthesis.latent_diffusion.decode_latent",
        lambda *_: padded,
    )
    volume = opened(folder, shape=48, spacing_mm=4.0).volume(0)[0].numpy()
    to_voxel = np.linalg.inv(template_grid((48, 48, 48), 4.0))
    left, right = (
        volume[tuple(np.round(to_voxel @ [x_mm, -20, 25, 1])[:3].astype(int))]
        for x_mm in (-35, 35)
    )
    assert left < right - 1
    litres = (volume != 0).sum() * 0.004**3 * 1000
    assert 1.2 < litres < 2.2
