"""A new source's encoder for a network that is otherwise frozen (paper §3.2, §7.3)."""

from collections.abc import Container
from dataclasses import replace
from pathlib import Path

import torch

from kpcn_core import features, weights
from kpcn_core.features import PLANES
from kpcn_core.model.config import COMPONENT_PLANES, JOINT_PLANES, RESIDUAL, ModelConfig
from kpcn_core.model.encoder import Encoder
from kpcn_core.model.network import Network
from training.config import TrainingConfig
from training.errors import InvalidConfig


def planes_of(aovs: Container[str], network: ModelConfig) -> tuple[str, ...]:
    """Everything that a network can read of frames with these AOVs and `*_mse` twins."""
    split = features.is_split(aovs)
    given = features.available_planes(aovs, split)
    readable = COMPONENT_PLANES if network.trunk == RESIDUAL else JOINT_PLANES
    return tuple(name for name in readable if name in given)


def adaptation(
    base: TrainingConfig, start: str, encoder: str, aovs: Container[str]
) -> TrainingConfig:
    """The configuration that trains one encoder, new or not, and nothing else.

    Args:
        base: batches, loss, optimizer and run; its network does not count.
        start: weights to adapt, by name or path.
        encoder: name of the encoder; that of the source, so that its frames choose it.
        aovs: what the frames have, `*_mse` twins included.

    Raises:
        UnreadableFile: there are no such weights.
        InvalidConfig: they have an encoder of that name that reads something else.
    """
    path = weights.find(start)
    known = weights.load(path).config
    planes = planes_of(aovs, known)
    if known.encoders.get(encoder, planes) != planes:
        raise InvalidConfig(
            f"{path}: encoder '{encoder}' reads {', '.join(known.encoders[encoder])}; these frames "
            f"give {', '.join(planes)}. Give the new one another name."
        )
    network = replace(known, encoders={**known.encoders, encoder: planes})
    shares = {name: float(name == encoder) for name in network.encoders}
    return replace(
        base,
        stage="adaptation",
        network=network,
        batches=replace(base.batches, shares=shares),
        run=replace(base.run, start=start),
    )


def take_over(network: Network, found: Network, path: Path) -> None:
    """Take over a network's weights; encoders that it lacks start from the most similar one.

    Raises:
        InvalidConfig: they differ in more than further encoders.
    """
    encoders = network.config.encoders
    if replace(found.config, encoders={**found.config.encoders, **encoders}) != network.config:
        raise InvalidConfig(
            f"{path}: its network is {found.config}; an adaptation may only add encoders to it, "
            f"and {network.config} is asked for."
        )
    network.load_state_dict(network.state_dict() | found.state_dict())
    for name in encoders.keys() - found.config.encoders.keys():
        _start_like(network, name, _most_similar(encoders[name], found.config))


def _most_similar(planes: tuple[str, ...], known: ModelConfig) -> str:
    """The encoder that reads most of these planes, and else the fewest."""
    return max(
        known.encoders,
        key=lambda name: (
            len(set(planes) & set(known.encoders[name])),
            -len(known.encoders[name]),
        ),
    )


@torch.no_grad()
def _start_like(network: Network, name: str, model: str) -> None:
    """Copy an encoder, plane by plane; what only the new one reads counts nothing yet."""
    mine, theirs = network.encoders[name], network.encoders[model]
    assert isinstance(mine, Encoder)
    assert isinstance(theirs, Encoder)
    mine.second.load_state_dict(theirs.second.state_dict())
    mine.first.load_state_dict({"weight": mine.first.weight, "bias": theirs.first.bias})
    mine.first.weight.zero_()
    places = {encoder: _places(network.config, encoder) for encoder in (name, model)}
    for plane in places[name].keys() & places[model].keys():
        mine.first.weight[:, places[name][plane]] = theirs.first.weight[:, places[model][plane]]


def _places(config: ModelConfig, encoder: str) -> dict[str, slice]:
    """Where the folded channels of each plane are in an encoder's input."""
    places, start = {}, 0
    for plane in config.encoders[encoder]:
        size = PLANES[plane] * config.fold**2
        places[plane] = slice(start, start + size)
        start += size
    return places
