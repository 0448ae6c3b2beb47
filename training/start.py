"""What a training starts from: released weights; for a baseline, the checkpoint of a direct one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kpcn_core import model_card, weights
from kpcn_core.model.error import ErrorPredictor
from kpcn_core.model.network import Network
from training.adaptation import take_over
from training.baselines import DirectNetwork, RecurrentDirectNetwork
from training.config import BASELINES, TrainingConfig
from training.errors import InvalidConfig
from training.release import averaged_network, provenance_of, read_checkpoint


def start_from(network: Network | DirectNetwork, config: TrainingConfig) -> None:
    """Take over the weights that a configuration names; what they lack stays as it is.

    Raises:
        UnreadableFile: there are none.
        InvalidConfig: they are of another network, and `start_in_part` is not set; or nothing fits.
    """
    path, found = _named(config)
    if config.stage == "adaptation":
        assert isinstance(network, Network)
        assert isinstance(found, Network)
        take_over(network, found, path)
        return
    if found.config != config.network and not config.run.start_in_part:
        raise InvalidConfig(
            f"{path}: its network is {found.config}; the configuration asks for "
            f"{config.network}. Change [network], start from other weights, or take over what "
            f"fits: [run] start_in_part = true."
        )
    mine = network.state_dict()
    fitting = {
        name: value
        for name, value in found.state_dict().items()
        if name in mine and mine[name].shape == value.shape
    }
    if not fitting:
        raise InvalidConfig(f"{path}: none of its weights fits {config.network}.")
    network.load_state_dict(mine | fitting)


def start_predictor(predictor: ErrorPredictor, config: TrainingConfig) -> None:
    """Take over the error predictor that a configuration names, if it names one.

    Raises:
        UnreadableFile: there is none.
        InvalidConfig: it has other sizes.
    """
    if not config.run.start:
        return
    path = weights.find(config.run.start)
    found = weights.load_predictor(path)
    if found.config != config.predictor:
        raise InvalidConfig(
            f"{path}: the predictor is {found.config}; the configuration asks for "
            f"{config.predictor}. Change [predictor], or start from another one."
        )
    predictor.load_state_dict(found.state_dict())


def history(config: TrainingConfig) -> dict[str, Any]:
    """What the weights that training started from say of themselves."""
    start = config.run.start
    if not start:
        return {}
    if config.stage in BASELINES:
        return provenance_of(read_checkpoint(Path(start)), "kpcn-train fit DATA RUN")
    return origin(weights.find(start))


def origin(path: Path) -> dict[str, Any]:
    """What a weights file says of how it came to be, and under "start" the file before it."""
    header = weights.describe(path)
    told = {key: value for key, value in header.items() if key not in ("format", "config")}
    return _unfolded(told)


def _unfolded(told: Mapping[str, Any]) -> dict[str, Any]:
    """The same with every "start" as what it says: text within text would double its escapes."""
    if not told.get("start"):
        return dict(told)
    return {**told, "start": _unfolded(model_card.start_of(told))}


def _named(config: TrainingConfig) -> tuple[Path, Network | DirectNetwork]:
    """The file and the network in it."""
    start = config.run.start
    if config.stage not in BASELINES:
        path = weights.find(start)
        return path, weights.load(path)
    path = Path(start)
    found = averaged_network(read_checkpoint(path))
    if not isinstance(found, DirectNetwork) or isinstance(found, RecurrentDirectNetwork):
        raise InvalidConfig(
            f"{path}: stage '{config.stage}' starts from a checkpoint of stage 'direct'; this one "
            f"predicts something else. Train one with `kpcn-train fit DATA RUN --config direct`, "
            f"and start from RUN/last.ckpt."
        )
    return path, found
