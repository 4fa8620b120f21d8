"""Policies by path: what can be judged, and what is refused because its numbers would be another policy's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from cpo.errors import ConfigError, DataError
from cpo.policy.directory import PolicyDirectory
from cpo.policy.logps import unwrap
from tests.fixtures.tiny import make_backbone

KNOBS: dict[str, Any] = {"dtype": "float32", "image_size": 0, "max_length": 512}


@pytest.fixture
def adapter(backbone: Any, directory: Path, tmp_path: Path) -> Path:
    """A trained adapter as PEFT keeps it, on the session's tiny model."""
    torch.manual_seed(1)
    model = backbone.lora.attach(backbone.load_model(directory))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    model.save_pretrained(tmp_path / "run" / "adapter")
    return tmp_path / "run" / "adapter"


def rebased(adapter: Path, base: Path) -> None:
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"base_model_name_or_path": str(base)}))


def test_an_adapter_is_loaded_on_the_base_that_it_names(adapter: Path, directory: Path) -> None:
    found = PolicyDirectory(path=str(adapter), **KNOBS)
    model, encoder = found.load()
    assert found.base == directory
    assert found.image_size == 56, "the size that the image processor was saved with"
    kept = load_file(adapter / "adapter_model.safetensors")
    loaded = {name.replace(".default", ""): w for name, w in model.named_parameters() if "lora_" in name}
    assert loaded.keys() == kept.keys()
    assert all(torch.equal(loaded[name], kept[name]) for name in kept)
    assert encoder.image_token_id == unwrap(model).config.image_token_id


def test_a_merged_checkpoint_is_judged_like_its_adapter(adapter: Path, directory: Path, tmp_path: Path) -> None:
    model, _ = PolicyDirectory(path=str(adapter), **KNOBS).load()
    weight = dict(model.merge_and_unload().named_parameters())
    merged = tmp_path / "merged"
    shutil.copytree(directory, merged)
    model.base_model.model.save_pretrained(merged)
    again, _ = PolicyDirectory(path=str(merged), **KNOBS).load()
    assert all(torch.equal(w, weight[name]) for name, w in again.named_parameters())
    assert not any(w.requires_grad for w in again.parameters())


@pytest.mark.parametrize(
    ("changes", "how"), [({"hidden": 48}, "sizes"), ({"layers": 3}, "missing"), ({"layers": 1}, "")]
)
def test_an_adapter_of_another_base_is_refused(
    adapter: Path, tmp_path: Path, make_pairs: Any, changes: dict[str, int], how: str
) -> None:
    samples = [pair.sample for pair in make_pairs(n=1)]
    other = make_backbone(**changes).directory(tmp_path / "other", samples=samples, results=["large"], seed=0)
    rebased(adapter, other)
    with pytest.raises(DataError, match=f"of another base: .*{how}"):
        PolicyDirectory(path=str(adapter), **KNOBS).load()


def test_an_adapter_without_weights_or_base_is_refused(adapter: Path, tmp_path: Path) -> None:
    (adapter / "adapter_model.safetensors").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"without adapter_model\.safetensors"):
        PolicyDirectory(path=str(adapter), **KNOBS).load()
    rebased(adapter, tmp_path / "gone")
    with pytest.raises(DataError, match="which is gone"):
        PolicyDirectory(path=str(adapter), **KNOBS)


def test_an_adapter_whose_weights_are_not_all_there_is_refused(adapter: Path) -> None:
    file = adapter / "adapter_model.safetensors"
    weights = load_file(file)
    weights.pop(next(iter(weights)))
    save_file(weights, file)
    with pytest.raises(DataError, match="1 weights missing, 0 too many"):
        PolicyDirectory(path=str(adapter), **KNOBS).load()


def test_a_tokenizer_of_another_model_is_refused(adapter: Path, directory: Path, tmp_path: Path) -> None:
    tokenizer = json.loads((directory / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    first, second = sorted(vocabulary)[:2]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    for name in ("tokenizer_config.json", "chat_template.jinja"):
        if (directory / name).is_file():
            shutil.copy(directory / name, adapter)
    (adapter / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(DataError, match="not its base's"):
        PolicyDirectory(path=str(adapter), **KNOBS).load()

    wrong = tmp_path / "wrong"
    shutil.copytree(directory, wrong)
    config = json.loads((wrong / "config.json").read_text())
    (wrong / "config.json").write_text(json.dumps(config | {"image_token_id": config["image_token_id"] - 1}))
    with pytest.raises(DataError, match=r"a tokenizer of \d+ tokens with image token"):
        PolicyDirectory(path=str(wrong), **KNOBS).load()


def test_a_directory_that_holds_no_policy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither adapter_config\.json nor") as error:
        PolicyDirectory(path=str(tmp_path), **KNOBS)
    assert "RUN/adapter" in error.value.remedy
    with pytest.raises(DataError, match="no directory"):
        PolicyDirectory(path=str(tmp_path / "nowhere"), **KNOBS)
    with pytest.raises(ConfigError, match="float16"):
        PolicyDirectory(path=str(tmp_path), **{**KNOBS, "dtype": "float16"})


def test_a_processor_for_many_sizes_needs_one_named(directory: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(directory, other)
    file = other / "preprocessor_config.json"
    size = {"shortest_edge": 3136, "longest_edge": 12845056}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"size": size}))
    with pytest.raises(ConfigError, match="3136 to 12845056 pixels"):
        PolicyDirectory(path=str(other), **KNOBS)
    assert PolicyDirectory(path=str(other), **{**KNOBS, "image_size": 56}).image_size == 56
