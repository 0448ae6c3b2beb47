"""The CPU's way to compose a frame, in one pass, against the readable one."""

import pytest
import torch
from torch.testing import assert_close

from kpcn_core import features
from kpcn_core.composite import composed, kept
from kpcn_core.ops import compiler

SIZE = (37, 45)
GAIN = torch.full((1, 1, 1, 1), 2.5)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(3)


@pytest.fixture
def readable(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """To be undone for the compiled way."""
    monkeypatch.setattr(compiler, "installed", lambda: False)
    return monkeypatch


def components(*names: str) -> dict[str, torch.Tensor]:
    """Filtered images, cut from larger ones as networks give them; some pixels are not known."""
    found = {name: torch.rand(1, 4, 40, 48)[:, :3, : SIZE[0], : SIZE[1]] - 0.1 for name in names}
    for index, image in enumerate(found.values()):
        image[..., 3 + index, 5] = torch.nan
        image[:, :1, 6, 7 + index] = torch.inf
    return found


@pytest.mark.parametrize("names", [(), ("irradiance", "albedo"), features.COMPONENTS])
def test_components_compose_as_the_readable_way_does(
    names: tuple[str, ...], readable: pytest.MonkeyPatch
) -> None:
    parts = components(*{*names, "specular"})
    factors = {"specular": torch.full((1, 1, 1, 1), 1.1)}
    expected = composed(parts, factors, GAIN)
    readable.undo()
    found = composed(parts, factors, GAIN)
    assert_close(found, expected, equal_nan=True)
    assert found.isnan().any()


@pytest.mark.parametrize("channels", [1, 3])
def test_shares_are_given_back_as_the_readable_way_does(
    channels: int, readable: pytest.MonkeyPatch
) -> None:
    result = components("specular")["specular"][:, :channels]
    share = torch.rand(1, 1, *SIZE)
    share[..., :9, :], share[..., 30:, :] = 0.0, 1.0
    original = torch.rand(1, channels, *SIZE)
    original[..., 31, 5], original[:, 0, 12, 4] = torch.nan, torch.inf
    expected = kept(result, original, share)
    readable.undo()
    found = kept(result, original, share)
    assert_close(found, expected, equal_nan=True)
    assert (found[..., 32:, :] == original[..., 32:, :]).all()
    assert (found[..., 3, 5] == original[..., 3, 5]).all()


def test_no_share_changes_nothing_but_what_is_not_known() -> None:
    (result,) = components("specular").values()
    original = torch.zeros(1, 3, *SIZE)
    found = kept(result, original, torch.zeros(1, 1, *SIZE))
    assert (found == result.nan_to_num(nan=0.0, posinf=torch.inf)).all()
