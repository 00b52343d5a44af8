from pathlib import Path

import pytest
import yaml

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.jobs import (
    JOBS,
    ExplainConfig,
    PreprocessConfig,
)
from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.errors import ConfigError, ContractError

PATHS = {"cohort": "c", "output": "o"}


def test_defaults_and_names_become_choices() -> None:
    config = FinetuneConfig.parse(PATHS)
    assert config.task.name == "brain_age"
    assert config.task.options.label == "age"
    assert config.backbone.entry.title.startswith("Tiny-DenseNet")


@pytest.mark.parametrize(
    "backbone",
    ["densenet121", {"name": "tiny_densenet", "block_config": [2, 2], "dropout": 0.1}],
)
def test_yaml_round_trip(tmp_path: Path, backbone: object) -> None:
    config = FinetuneConfig.parse(PATHS | {"backbone": backbone, "task": "ad"})
    config.to_file(tmp_path / "run.yaml")
    assert FinetuneConfig.from_file(tmp_path / "run.yaml") == config
    text = yaml.safe_load((tmp_path / "run.yaml").read_text())
    assert text["task"] == "ad"
    assert text["backbone"] == backbone


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"task": "mood"}, r"task: Unknown task 'mood'.*Known: ad, pd, brain_age, sex"),
        ({"backbone": "tiny_densnet"}, r"Did you mean 'tiny_densenet'"),
        (
            {"backbone": {"name": "densenet121", "patch": 3}},
            r"option 'patch'.*Its options: init_features",
        ),
        ({"epochs": 0}, r"epochs: .*greater than or equal to 1 \(given: 0\)"),
        ({"epoch": 3}, r"epoch: unknown setting\. Known here: cohort"),
        ({"validation_fraction": 0.5, "test_fraction": 0.5}, r"must stay under 0\.9"),
        ({"device": "gpu"}, r"device: .*given: 'gpu'"),
    ],
)
def test_wrong_settings_are_explained(given: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FinetuneConfig.parse(PATHS | given)


def test_a_required_setting_is_named() -> None:
    with pytest.raises(ConfigError, match="cohort: required, but not given"):
        FinetuneConfig.parse({"output": "o"})


def test_the_stride_may_not_skip_voxels() -> None:
    paths = {"model": "m", "input": "i", "output": "o"}
    with pytest.raises(ConfigError, match=r"at most the patch \(4\)"):
        ExplainConfig.parse(paths | {"patch": 4, "stride": 5})


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [", "just words"])
def test_a_file_that_is_no_mapping(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"run\.yaml"):
        FinetuneConfig.from_file(path)


@pytest.mark.parametrize("job", list(JOBS), ids=lambda job: job.name)
def test_every_field_has_help_and_every_integer_bounds(job) -> None:
    schema = job.options.model_json_schema()
    for name, field in schema["properties"].items():
        assert job.options.model_fields[name].description, name
        if field.get("type") == "integer" and "enum" not in field:
            assert "maximum" in field, f"{job.name}.{name} has no upper bound"


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        (80, (80, 80, 80)),
        ("96", (96, 96, 96)),
        ("80x96x88", (80, 96, 88)),
        ([80, 96, 88], (80, 96, 88)),
    ],
)
def test_a_shape_is_one_edge_or_three(given, shape) -> None:
    config = PreprocessConfig(input="a", output="b", shape=given)
    assert config.shape == shape
    assert PreprocessConfig.parse(config.model_dump()) == config
    with pytest.raises(ConfigError, match=r"shape: .*80x96x80"):
        PreprocessConfig.parse({"input": "a", "output": "b", "shape": "80x96"})


def test_settings_for_a_contract_give_that_contract() -> None:
    wanted = PreprocessingContract(shape=(80, 96, 80), registration={"dof": 12})
    config = PreprocessConfig.for_contract(wanted, input="a", output="b")
    assert config.contract == wanted
    with pytest.raises(ContractError, match=r"convergence: 0\.5, not 0\.001"):
        PreprocessConfig.for_contract(
            wanted.replace(bias_field={"convergence": 0.5}), input="a", output="b"
        )


def test_contract_differences_are_named() -> None:
    a = PreprocessingContract()
    assert a.differences(a) == []
    b = a.replace(spacing_mm=1.0)
    assert a.differences(b) == ["spacing_mm: 2.0, not 1.0"]
