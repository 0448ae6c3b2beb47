"""Training configuration: TOML with strict keys."""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from kpcn_core.errors import InvalidWeights, UnreadableFile
from kpcn_core.model.config import RESIDUAL, ModelConfig
from kpcn_core.model.error_config import ErrorConfig
from training.errors import InvalidConfig

CONFIGS = Path(__file__).with_name("configs")
# Networks to compare with, which nothing but training runs; the second goes on from the first.
BASELINES = ("direct", "recurrent-direct")
# In the order of training; each has what came before it frozen (paper §5).
STAGES = (
    "single-frame", "multi-scale", "temporal", "specialization", "adaptation", "error", *BASELINES,
)  # fmt: skip
FIRST = ("single-frame", "error", "direct")  # all others go on from weights
WINDOWED = ("temporal", "recurrent-direct")  # learn from windows


@dataclass(frozen=True)
class BatchConfig:
    """What a batch is made of.

    Attributes:
        size: patches a batch.
        crop: side of a patch, a multiple of the network's fold.
        uniform: part of the patches that lie anywhere; the others are chosen by content.
        shares: encoder to how often it gets a batch, relative to the others; 1 if not given.
        data: data set, by the name of its folder, to how often its views are chosen, relative to
            those of the others; 1 if not given.
        only: encoder to the only data sets that it learns from; if not given, from all that give
            what it reads.
        reach: frames before and after the centre that a window has at most; 0 for single frames.
        future: whether it has any after the centre.
        exposure_error: the exposure is off by up to 2 to the power of this.
        fireflies: part of the patches whose noisy images get some more of them.
        reference_noise: a pixel counts 1 / (1 + this * relative variance of its reference).
        rescan_steps: look for new views every so many steps.
    """

    size: int = 12
    crop: int = 96
    uniform: float = 0.2
    shares: Mapping[str, float] = field(default_factory=dict)
    data: Mapping[str, float] = field(default_factory=dict)
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reach: int = 0
    future: bool = True
    exposure_error: float = 0.5
    fireflies: float = 0.0
    reference_noise: float = 4.0
    rescan_steps: int = 200

    def share(self, encoder: str) -> float:
        """How often an encoder gets a batch, relative to the others."""
        return self.shares.get(encoder, 1.0)


@dataclass(frozen=True)
class LossConfig:
    """What is made small.

    Attributes:
        epsilon: of SMAPE.
        detach: take SMAPE's denominator as given.
        gradient: weight of the error of gradients; 0 leaves it out.
        structure: weight of the structural error of the color; 0 leaves it out.
        structure_scales: of how many scales that is the mean, the finest first.
        color: weight of the color that the components make, beside the components themselves.
    """

    epsilon: float = 1e-2
    detach: bool = False
    gradient: float = 0.0
    structure: float = 0.0
    structure_scales: int = 3
    color: float = 2.0


@dataclass(frozen=True)
class OptimizerConfig:
    """How it is made small.

    Attributes:
        rate: learning rate of Adam between warm-up and decay.
        warmup: steps over which it rises to that.
        decay: part of the budget, at its end, over which it falls to 0 along a cosine.
        beta2: Adam's memory of squared gradients.
        clip: largest norm of a gradient.
        average: decay of the moving average of the weights, which is what is released.
        accumulate: parts that a batch is computed in, one after the other, where memory is short.
    """

    rate: float = 1e-3
    warmup: int = 300
    decay: float = 0.3
    beta2: float = 0.99
    clip: float = 1.0
    average: float = 0.999
    accumulate: int = 1


@dataclass(frozen=True)
class RunConfig:
    """What happens beside the steps.

    Attributes:
        seed: of the first weights and of all batches.
        start: weights to start from, by name or path, instead of random ones; of a baseline, the
            checkpoint of a direct one.
        start_in_part: the weights may be of another network: what fits is taken, tensor by tensor.
        log_steps: write the loss every so many steps.
        checkpoint_minutes: save everything every so often.
        validate_minutes: measure held-out views every so often.
        patience: end after so many validations in a row without a smaller error; 0 never does.
        validation_views: at most so many held-out views.
        validation_spp: sample counts of their noisy images, reached as nearly as buffers allow.
    """

    seed: int = 1
    start: str = ""
    start_in_part: bool = False
    log_steps: int = 10
    checkpoint_minutes: float = 5.0
    validate_minutes: float = 10.0
    patience: int = 0
    validation_views: int = 8
    validation_spp: tuple[int, ...] = (4, 32)


@dataclass(frozen=True)
class PairConfig:
    """What an error predictor learns from: images denoised by a finished network.

    Attributes:
        denoiser: name or path of its weights; better trained on other views than these, or it does
            better here than elsewhere.
        draws: pairs a view, each of a random sample count.
        shares: encoder to how often it is the one that reads, relative to the others.
        asymmetric: part of the pairs with a random lambda above 1.
    """

    denoiser: str = "compact"
    draws: int = 4
    shares: Mapping[str, float] = field(default_factory=dict)
    asymmetric: float = 0.25


@dataclass(frozen=True)
class TrainingConfig:
    """One stage of training; `predictor` and `pairs` are for the stage error, which needs them."""

    stage: str = "single-frame"
    network: ModelConfig = field(default_factory=ModelConfig)
    batches: BatchConfig = field(default_factory=BatchConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    run: RunConfig = field(default_factory=RunConfig)
    predictor: ErrorConfig = field(default_factory=ErrorConfig)
    pairs: PairConfig = field(default_factory=PairConfig)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `from_dict` reads them."""
        return asdict(self)


def load(name: str) -> TrainingConfig:
    """Read a configuration that ships, by name, or a TOML file by path.

    `base = "NAME"` in a file takes over everything that it does not give itself.

    Raises:
        UnreadableFile: there is no such file.
        InvalidConfig: it is not TOML, has an unknown key, or a value that cannot be used.
    """
    return from_dict(_table(name), name)


def _table(name: str, above: tuple[str, ...] = ()) -> dict[str, Any]:
    """The values of a file, and under them those of the file that it names as its `base`."""
    path = CONFIGS / f"{name}.toml"
    if not path.is_file():
        path = Path(name)
    if not path.is_file():
        shipped = ", ".join(sorted(found.stem for found in CONFIGS.glob("*.toml")))
        raise UnreadableFile(f"{name}: no such configuration. Shipped: {shipped}; or give a path.")
    try:
        values = tomllib.loads(path.read_text())
    except ValueError as error:
        raise InvalidConfig(f"{path}: not a TOML file: {error}.") from error
    base = values.pop("base", None)
    if base in (*above, name):
        raise InvalidConfig(f"{path}: base = '{base}' leads back to itself. Name another file.")
    return values if base is None else _over(_table(str(base), (*above, name)), values)


def _over(base: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values laid over others, table by table."""
    merged = dict(base)
    for key, value in values.items():
        inner = merged.get(key)
        both = isinstance(value, dict) and isinstance(inner, dict)
        merged[key] = _over(inner, value) if both and inner is not None else value
    return merged


def from_dict(values: Mapping[str, Any], where: str) -> TrainingConfig:
    """Build a configuration from plain values; `where` is for errors."""
    config = _built(TrainingConfig, values, where)
    assert isinstance(config, TrainingConfig)
    if config.stage not in STAGES:
        raise InvalidConfig(
            f"{where}: stage '{config.stage}' does not exist; there are: {', '.join(STAGES)}."
        )
    _check_stage(config, where)
    _check_shares(config, where)
    _check_crop(config, where)
    check_parts(config, 1, where)
    return config


def check_parts(config: TrainingConfig, devices: int, where: str) -> None:
    """Check that a batch can be shared by so many devices.

    Raises:
        InvalidConfig: its patches cannot be parted evenly.
    """
    size, parts = config.batches.size, config.optimizer.accumulate * devices
    if parts < 1 or size % parts:
        raise InvalidConfig(
            f"{where}: [batches] size = {size} cannot be parted evenly: [optimizer] accumulate = "
            f"{config.optimizer.accumulate}, on {devices} devices."
        )
    if config.stage == "error" and parts > 1:
        raise InvalidConfig(f"{where}: stage 'error' takes its batches whole, on one device.")


def _check_crop(config: TrainingConfig, where: str) -> None:
    crop, alignment = config.batches.crop, config.network.alignment
    why = f"[network] fold = {config.network.fold}, and {config.network.scales} scales"
    if config.stage == "error":
        alignment = config.predictor.fold
        why = f"[predictor] fold = {alignment}"
    if crop % alignment:
        raise InvalidConfig(
            f"{where}: [batches] crop = {crop} must be a multiple of {alignment}: {why}."
        )


def _check_stage(config: TrainingConfig, where: str) -> None:
    if config.stage == "multi-scale" and config.network.trunk != RESIDUAL:
        raise InvalidConfig(
            f"{where}: a U-Net learns all of its scales as the stage single-frame; the stage "
            f"multi-scale is for trunk = '{RESIDUAL}'."
        )
    if config.stage in WINDOWED and config.batches.reach < 1:
        raise InvalidConfig(
            f"{where}: stage '{config.stage}' learns from windows, and [batches] reach = "
            f"{config.batches.reach} gives none. Make it 1 or more."
        )


def _check_shares(config: TrainingConfig, where: str) -> None:
    shares, encoders = config.batches.shares, config.network.encoders
    for table, given in (("shares", shares), ("only", config.batches.only)):
        unknown = sorted(set(given) - set(encoders))
        if unknown:
            raise InvalidConfig(
                f"{where}: [batches.{table}] has {', '.join(unknown)}, which [network.encoders] "
                f"lacks; it has {', '.join(encoders)}."
            )
    if min(shares.values(), default=0.0) < 0 or not any(shares.get(one, 1.0) for one in encoders):
        raise InvalidConfig(
            f"{where}: [batches.shares] = {dict(shares)} must be 0 or more, and not all 0."
        )
    if min(config.batches.data.values(), default=0.0) < 0:
        raise InvalidConfig(f"{where}: [batches.data] = {dict(config.batches.data)} is negative.")


def _built(kind: type, values: Mapping[str, Any], where: str) -> object:
    """A dataclass from a table of exactly its fields, nested ones from nested tables."""
    types = get_type_hints(kind)
    known = [item.name for item in fields(kind)]
    for key in values:
        if key not in known:
            raise InvalidConfig(f"{where}: unknown key '{key}'. Known here: {', '.join(known)}.")
    arguments = {
        key: _value(types[key], value, f"{where} [{key}]") for key, value in values.items()
    }
    try:
        return kind(**arguments)
    except InvalidWeights as error:
        raise InvalidConfig(f"{where}: {error}") from error


def _value(kind: Any, value: Any, where: str) -> Any:
    if isinstance(kind, type) and hasattr(kind, "__dataclass_fields__"):
        return _built(kind, _checked(dict, value, where), where)
    if kind in (int, str, bool):
        return _checked(kind, value, where)
    if kind is float:
        return float(_checked((int, float), value, where))
    of = get_args(kind)
    if get_origin(kind) is tuple:
        return tuple(_value(of[0], item, where) for item in _checked((list, tuple), value, where))
    table = _checked(dict, value, where)
    return {name: _value(of[1], item, f"{where} [{name}]") for name, item in table.items()}


def _checked(kind: type | tuple[type, ...], value: Any, where: str) -> Any:
    # A bool is an int to Python, but no person means one by the other.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        names = " or ".join(
            item.__name__ for item in (kind if isinstance(kind, tuple) else (kind,))
        )
        raise InvalidConfig(f"{where}: expected {names}; found {value!r}.")
    return value
