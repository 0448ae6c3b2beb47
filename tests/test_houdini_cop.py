"""The Python Snippet COP, with layers as Houdini has them and the real worker."""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from kpcn_core import exr, weights
from kpcn_core.cli.main import main
from kpcn_core.errors import Refused
from kpcn_core.frame import Frame
from tests.fakes import hou
from tests.frames import random_frame
from tests.houdini_host import Session
from tests.networks import random_network

HEIGHT, WIDTH = 24, 32
AOVS = ("color", "albedo", "normal")


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Session]:
    session = Session(monkeypatch, tmp_path)
    yield session
    cop = session.module("cop")
    cop._client("cpu").close()
    cop._client.cache_clear()
    session.close()


def frame() -> Frame:
    whole = random_frame(HEIGHT, WIDTH)
    return Frame({name: whole.aovs[name] for name in (*AOVS, "alpha")})


def layer(pixels: NDArray[Any]) -> Any:
    """A layer [C,H,W] as a COP gives it: interleaved, from the bottom row."""
    made = hou.ImageLayer()
    made.setChannelCount(len(pixels))
    made.setDataWindow(5, 7, WIDTH, HEIGHT)
    made.setDisplayWindow(0, 0, 64, 48)
    made.setBorder(hou.imageLayerBorder.Clamp)
    made.setTypeInfo(hou.imageLayerTypeInfo.Color)
    made.setAttributes({"shot": "s010"})
    upward = pixels[:, ::-1].transpose(1, 2, 0)
    made.setAllBufferElements(np.ascontiguousarray(upward, np.float32).tobytes())
    return made


def pixels(made: Any) -> NDArray[np.float32]:
    """Back to [C,H,W] from the top."""
    flat = np.frombuffer(made.allBufferElements(), np.float32)
    return flat.reshape(HEIGHT, WIDTH, 4)[::-1].transpose(2, 0, 1)


def layers(shown: Frame) -> dict[str, Any]:
    rgba = np.concatenate([shown.aovs["color"], shown.aovs["alpha"].reshape(1, HEIGHT, WIDTH)])
    return {"color": layer(rgba), **{name: layer(shown.aovs[name]) for name in AOVS[1:]}}


def run(code: str, given: dict[str, Any]) -> dict[str, Any]:
    """As the COP runs its snippet: the body of a function that has `kwargs`."""
    space: dict[str, Any] = {}
    exec(f"def body(kwargs):\n{textwrap.indent(code, '    ')}", space)
    return space["body"](given)  # type: ignore[no-any-return]


def test_the_snippet_gives_what_the_command_does_the_right_way_up(host: Session) -> None:
    model = host.folder / "small.safetensors"
    weights.save(model, random_network(), {})
    values = {"model": str(model), "device": "cpu"}
    shown, code = frame(), host.module("cop").CODE
    clean = run(code, {**layers(shown), **values, "albedo_mse": None})["clean"]
    exr.write_frame(host.folder / "noisy.exr", shown)
    for asymmetry, found in ((1.0, clean), (3.0, None)):
        path = host.folder / f"clean{asymmetry}.exr"
        words = ["denoise", str(host.folder / "noisy.exr"), "-o", str(path), "--model", str(model)]
        result = CliRunner().invoke(main, [*words, "--asymmetry", str(asymmetry)])
        assert result.exit_code == 0, result.output
        made = found or run(code, {**layers(shown), **values, "asymmetry": asymmetry})["clean"]
        expected = exr.read(path)
        np.testing.assert_allclose(pixels(made)[:3], expected.aovs["color"], rtol=1e-4)
        np.testing.assert_array_equal(pixels(made)[3:], expected.aovs["alpha"].reshape(1, 24, 32))
    corner, size = clean.dataWindow().min(), clean.dataWindow().size()
    assert (corner.x(), corner.y(), size.x(), size.y()) == (5, 7, WIDTH, HEIGHT)
    assert clean.displayWindow().size().x() == 64
    assert clean.border() is hou.imageLayerBorder.Clamp
    assert clean.attributes() == {"shot": "s010"}


def test_what_cannot_be_denoised_is_an_error_of_the_node(host: Session) -> None:
    given = layers(frame())
    snippet = host.module("cop").snippet
    with pytest.raises(hou.NodeError, match="kpcn: Connect the render"):
        snippet({"albedo": given["albedo"]})
    with pytest.raises(hou.NodeError, match="No AOV is called 'diffus'"):
        snippet({**given, "diffus": given["albedo"]})
    small = hou.ImageLayer()
    small.setChannelCount(3)
    small.setDataWindow(0, 0, 2, 2)
    with pytest.raises(hou.NodeError, match=r"albedo: is \(2, 2\); color is \(32, 24\)"):
        snippet({**given, "albedo": small})
    with pytest.raises(hou.NodeError, match="normal: has 1 channels; 3 are needed"):
        snippet({**given, "normal": layer(np.zeros((1, HEIGHT, WIDTH)))})


def test_files_of_earlier_pictures_are_removed(host: Session) -> None:
    cop = host.module("cop")
    for number in range(10):
        for name in (f"{number}.exr", f"{number}.clean.exr"):
            (cop._folder() / name).write_bytes(b"x")
    cop._tidy(cop._folder() / "0.exr")
    left = {path.name for path in cop._folder().glob("*.exr")}
    assert {"0.exr", "0.clean.exr"} < left
    assert len(left) == 2 + 2 * cop.KEPT


def test_a_snippet_cop_is_set_up(host: Session) -> None:
    node = host.rop("pythonsnippet")
    host.state.selected = [node]
    host.plugin.set_up_selected_cops()
    assert node.parm("pythoncode").eval() == host.module("cop").CODE
    assert [node.parm(f"input{n}_name").eval() for n in (1, 2, 3, 4)] == [*AOVS, "mask"]
    assert node.parm("output1_type").evalAsString() == "float4"
    host.set(node, pythoncode="return {}")
    with pytest.raises(Refused, match="without code of its own"):
        host.module("cop").set_up(node)
