"""From a checkpoint to a weights file that says where it comes from."""

import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from kpcn_core import weights
from kpcn_core.errors import UnreadableFile
from kpcn_core.model.error import ErrorPredictor
from kpcn_core.model.network import Network
from training.baselines import DirectNetwork
from training.config import from_dict
from training.errors import InvalidConfig
from training.networks import network_of

PREFIX = "network."

Trained = TypeVar("Trained", bound=nn.Module)


def release(checkpoint: Path, output: Path, command: str) -> dict[str, str]:
    """Write the averaged weights of a checkpoint; give the provenance that went with them.

    Args:
        checkpoint: written by `fit`. A pickle: read only what you made yourself.
        output: the weights file to write or replace.
        command: the training command, to tell others.

    Raises:
        InvalidConfig: it is a baseline, which nothing but training can run.
    """
    state = read_checkpoint(checkpoint)
    if state["kpcn"]["config"]["stage"] == "error":
        provenance = {**state["denoiser"], **provenance_of(state, command)}
        weights.save(output, averaged_predictor(state), provenance)
        return provenance
    network = averaged_network(state)
    if isinstance(network, DirectNetwork):
        raise InvalidConfig(
            f"{checkpoint}: stage '{state['kpcn']['config']['stage']}' predicts colors, to compare "
            f"kernel prediction with; kpcn has no use for its weights. Release a stage that "
            f"predicts kernels, or measure this one with `kpcn-train validate`."
        )
    provenance = provenance_of(state, command)
    weights.save(output, network, provenance)
    return provenance


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Everything that `fit` saved."""
    if not path.is_file():
        raise UnreadableFile(f"{path}: no such checkpoint. Train first with `kpcn-train fit`.")
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=False)
    if "kpcn" not in state:
        raise InvalidConfig(f"{path}: not a checkpoint of `kpcn-train fit`.")
    return state


def averaged_network(state: dict[str, Any]) -> Network | DirectNetwork:
    """The network with its averaged weights, in evaluation mode.

    Raises:
        InvalidConfig: it is a predictor of errors.
    """
    config = from_dict(state["kpcn"]["config"], "checkpoint")
    if config.stage == "error":
        raise InvalidConfig("The checkpoint is of stage 'error': it predicts errors, no images.")
    return _averaged(state, network_of(config))


def averaged_predictor(state: dict[str, Any]) -> ErrorPredictor:
    """The same for a checkpoint of stage `error`."""
    config = from_dict(state["kpcn"]["config"], "checkpoint")
    return _averaged(state, ErrorPredictor(config.predictor))


def _averaged(state: dict[str, Any], network: Trained) -> Trained:
    # Lightning's averaging stores the average where the weights would be.
    tensors = {
        name.removeprefix(PREFIX): tensor
        for name, tensor in state["state_dict"].items()
        if name.startswith(PREFIX)
    }
    network.load_state_dict(tensors, strict=True)
    return network.eval()


def provenance_of(state: dict[str, Any], command: str) -> dict[str, str]:
    """How the weights came to be, for the header of their file."""
    known = state["kpcn"]
    config, steps = known["config"], state["global_step"]
    data = data_of(known)
    start = {"start": json.dumps(known["start"], sort_keys=True)} if known.get("start") else {}
    minutes = {"training_minutes": f"{known['minutes']:.0f}"} if "minutes" in known else {}
    return {
        **start,
        **minutes,
        "stage": config["stage"],
        "date": date.today().isoformat(),
        "steps": str(steps),
        "samples_seen": str(steps * config["batches"]["size"]),
        "views": str(sum(each["views"] for each in data)),
        "data_sha256": _digest([each["sha256"] for each in data]),
        "data_licence": "; ".join(dict.fromkeys(each["licence"] for each in data)),
        "data_recipe": json.dumps(_recipes(data), sort_keys=True),
        "device": known["device"],
        "training_config": json.dumps(_portable(config), sort_keys=True),
        "training_command": command,
        "licence": "Apache-2.0",
    }


def data_of(known: dict[str, Any]) -> list[dict[str, Any]]:
    """What a checkpoint says of each data set: name, recipe, licence, sha256, views."""
    data = known["data"]
    if isinstance(data, list):
        return data
    # Older checkpoints know of one data set.
    return [
        {
            "name": "",
            "recipe": known["recipe"],
            "licence": known["licence"],
            "sha256": data,
            "views": known["views"],
        }
    ]


def _digest(hashes: list[str]) -> str:
    """Of one data set its own; of several SHA-256 over theirs, in their order."""
    if len(hashes) == 1:
        return hashes[0]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def _recipes(data: list[dict[str, Any]]) -> dict[str, Any] | list[dict[str, Any]]:
    """How the data were made; of several data sets everything about each."""
    return data[0]["recipe"] if len(data) == 1 else data


def _portable(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration for others to read, who need not know where weights lay on this machine."""
    run = config["run"]
    return {**config, "run": {**run, "start": Path(run["start"]).name}}
