"""What tiles are sized by on a GPU, against what tensors hold: on torch's device "meta".

It has shapes and no numbers; so whole frames of the shipped size go through networks of any size.
"""

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from kpcn_core import composite, prepared
from kpcn_core.bench.frames import like, synthetic
from kpcn_core.denoiser import Denoiser
from kpcn_core.frame import Frame, Pixels
from kpcn_core.model import peak
from kpcn_core.model.network import Network
from kpcn_core.ops import fused, fused_combiner, fusion
from kpcn_core.prepared import Prepared
from kpcn_core.settings import Settings
from training import config

META = torch.device("meta")
SIZE = (192, 256)
PIXELS = SIZE[0] * SIZE[1]
PAINTED = np.full(SIZE, 2.0, np.float32)  # takes more than one number for the whole frame
CLOSE = 1.45  # times what is held, at most

pytest.importorskip("triton", reason="Triton is not installed: pip install 'kpcn[fused]'")


class Held(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Bytes of all tensors that are made in a block, as long as each lives."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.most = self.before = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for one in tree_leaves(made):
            if isinstance(one, Tensor):
                self._add(one.untyped_storage())
        return made

    def begin(self) -> None:
        """Let the most begin again from what is held now; what follows counts beside it."""
        self.before = self.most = self.now

    @property
    def beside(self) -> float:
        """The most since then, bytes a pixel."""
        return (self.most - self.before) / PIXELS

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


@pytest.fixture(autouse=True)
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a GPU does, up to the launch of its kernels and what needs their numbers."""

    def fetched(images: Mapping[str, Tensor]) -> dict[str, Pixels]:
        return {name: np.zeros(image.shape[1:], np.float32) for name, image in images.items()}

    monkeypatch.setattr(prepared, "_report_invalid", lambda *_: None)
    monkeypatch.setattr(composite, "fetched", fetched)
    monkeypatch.setattr(fusion, "usable", lambda image: not torch.is_grad_enabled())
    monkeypatch.setattr(fusion, "launch", lambda *_, **constants: None)
    monkeypatch.setattr(fused_combiner, "_launch", lambda *_: None)
    monkeypatch.setattr(fused, "_launch", lambda *_: None)


@pytest.fixture(scope="module", params=["compact-specialization", "paper"])
def network(request: pytest.FixtureRequest) -> Iterator[Network]:
    with META:
        yield Network(config.load(request.param).network)


def settings(layers: int) -> Settings:
    return Settings(like=like(layers), encoder="kpcn", max_memory=1 << 50)


def alone(denoiser: Denoiser, frame: Frame, layers: int, monkeypatch: pytest.MonkeyPatch) -> float:
    """What denoising a frame by itself holds beside the frame."""
    prepare = prepared.prepare

    def seen(*given: Any) -> Prepared:
        found = prepare(*given)
        held.begin()
        return found

    monkeypatch.setattr("kpcn_core.denoiser.prepare", seen)
    how, held = settings(layers), Held()
    with held:
        denoiser.denoise(
            frame, like=how.like, encoder=how.encoder, max_memory=how.max_memory,
            asymmetry=PAINTED,
        )  # fmt: skip
    return held.beside


def windowed(denoiser: Denoiser, frame: Frame, layers: int, frames: int) -> float:
    """What filtering a window holds beside its frames."""
    how, held = settings(layers), Held()
    with held:
        window = denoiser.window([denoiser.encode(frame, how)] * frames, frames // 2)
        held.begin()
        denoiser.render(window, how, asymmetry=PAINTED)
    return held.beside


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
@pytest.mark.parametrize("frames", [1, 3, 7])
def test_a_gpu_needs_what_tiles_are_sized_by(
    network: Network, precision: str, frames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    denoiser = Denoiser(network, META, precision=precision)
    for layers in (0, 4):
        frame = synthetic(*SIZE, layers)
        found = (
            alone(denoiser, frame, layers, monkeypatch)
            if frames == 1
            else windowed(denoiser, frame, layers, frames)
        )
        planes = 16 + 3 * layers
        with torch.inference_mode():
            need = peak.bytes_per_pixel(denoiser.network, META, planes, frames)
        assert found <= need <= CLOSE * found


@pytest.mark.parametrize("frames", [1, 3, 7])
def test_what_stays_for_another_lambda(network: Network, frames: int) -> None:
    denoiser = Denoiser(network, META, precision="float32")
    frame, how, held = synthetic(*SIZE), settings(0), Held()
    with held:
        window = denoiser.window([denoiser.encode(frame, how)] * frames, frames // 2)
        held.begin()
        denoiser.render(window, how, asymmetry=2.0)
        found = (held.now - held.before) / PIXELS
    estimate = peak.kept_of(denoiser.network, 16, frames)
    assert found <= estimate
    # A CPU keeps more: what kernels are applied to, in another form, and what last layers read.
    if frames > 1:
        assert estimate <= CLOSE * found + peak.for_another_lambda(network.config)


def test_a_layer_more_is_three_planes_more() -> None:
    images = prepared.prepare(synthetic(8, 8, 2), True, like(2), torch.device("cpu"))
    assert images.planes == 16 + 3 * 2
