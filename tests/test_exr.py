"""EXR files: what is read, and that writing changes nothing else."""

import logging
import struct
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
from numpy.testing import assert_array_equal

from kpcn_core import exr
from kpcn_core.errors import InvalidPixels, MissingAov, UnknownName, UnreadableFile, UnwritableFile
from kpcn_core.frame import Frame, Window
from tests.exr_files import (
    HEIGHT,
    WIDTH,
    Array,
    all_channels,
    named,
    plane,
    raw_headers,
    rgb,
    same_bits,
    save_exr,
    save_parts,
    with_attribute,
    xyz,
)
from tests.frames import random_frame

LOSSLESS = ("NO", "RLE", "ZIPS", "ZIP", "PIZ", "PXR24")
LOSSY = ("B44", "B44A", "DWAA", "DWAB")
WINDOWS = {"dataWindow": ((-3, -2), (WIDTH - 4, HEIGHT - 3)), "displayWindow": ((0, 0), (19, 9))}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out.exr"


def random_bits(
    seed: int, dtype: type[np.generic], shape: tuple[int, int] = (HEIGHT, WIDTH)
) -> Array:
    """Every bit pattern, so also NaN with payloads, infinities and denormals."""
    size = np.dtype(dtype).itemsize
    count = shape[0] * shape[1] * size
    return np.frombuffer(np.random.default_rng(seed).bytes(count), dtype=dtype).reshape(shape)


def forty_layers() -> dict[str, Array]:
    types = (np.float16, np.float32, np.uint32)
    name = "layer {} of a rather long name, longer than the 31 characters of old"
    return {
        f"{name.format(index)}.{suffix}": random_bits(10 * index + ord(suffix), types[index % 3])
        for index in range(40)
        for suffix in "RGB"
    }


def brightened(frame: Frame) -> Frame:
    return frame.with_aovs(color=2 * frame["color"])


def assert_only_color_changed(source: Path, target: Path) -> None:
    before, after = all_channels(source), all_channels(target)
    assert list(after) == list(before)
    for key, pixels in before.items():
        if key in [(0, name) for name in "RGB"]:
            assert after[key].dtype == pixels.dtype
            assert_array_equal(after[key], 2 * pixels)
        else:
            assert same_bits(after[key], pixels), key


def test_forty_layers_two_parts_and_any_metadata_come_out_bit_by_bit(
    tmp_path: Path, target: Path
) -> None:
    metadata = {
        "text": "grüße",
        "number": 5,
        "real": 0.1,
        "texts": ["a", "bb", ""],
        "matrix": np.arange(16, dtype=np.float32).reshape(4, 4),
        "matrix of doubles": np.arange(9, dtype=np.float64).reshape(3, 3),
        "vector": np.array([1, 2, 3], dtype=np.int32),
        "reals": np.arange(5, dtype=np.float32),
        "chromaticities": (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329),
        "capDate": "2020:01:02 03:04:05",
        "timeCode": OpenEXR.TimeCode(),
        "keyCode": OpenEXR.KeyCode(),
        "arnold/aovs/N/filter": "closest_filter",
    }
    beauty = {**named("R", "G", "B", "A"), "Z": random_bits(0, np.float32), **forty_layers()}
    source = save_parts(
        tmp_path / "in.exr",
        {"beauty": beauty, "second": {**named("second.R"), "id": random_bits(1, np.uint32)}},
        **WINDOWS,
        **metadata,
        compression=OpenEXR.PIZ_COMPRESSION,
    )
    exr.write(target, brightened(exr.read(source)), ["color"])
    assert_only_color_changed(source, target)
    assert raw_headers(target) == raw_headers(source)


@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [
        ("framesPerSecond", "rational", struct.pack("<iI", 24000, 1001)),
        ("double", "double", struct.pack("<d", 0.1)),
        ("box", "box2f", struct.pack("<4f", 1, 2, 3, 4)),
        ("preview", "preview", struct.pack("<II", 2, 1) + bytes(range(8))),
        ("unheard of", "someOnesOwnType", b"\x01\x02\x03"),
    ],
)
def test_metadata_of_any_type_stays(
    tmp_path: Path, target: Path, name: str, kind: str, value: bytes
) -> None:
    source = save_exr(tmp_path / "in.exr", named(*rgb()))
    with_attribute(source, name, kind, value)
    exr.write(target, exr.read(source), ["color"])
    assert raw_headers(target) == raw_headers(source)


@pytest.mark.parametrize("codec", LOSSLESS)
@pytest.mark.parametrize("tiled", [False, True])
def test_compression_tiles_and_windows_stay(
    tmp_path: Path, target: Path, codec: str, tiled: bool
) -> None:
    tiles: dict[str, object] = {}
    if tiled:
        tiles = {"type": OpenEXR.tiledimage, "tiles": OpenEXR.TileDescription()}
    compression = getattr(OpenEXR, f"{codec}_COMPRESSION")
    channels = {
        **{name: plane(1).astype(np.float16) for name in "RGB"},
        "mask.R": random_bits(1, np.float16),
        "id": random_bits(2, np.uint32),
        "Z": plane(3),
    }
    source = save_exr(tmp_path / "in.exr", channels, compression=compression, **WINDOWS, **tiles)
    exr.write(target, brightened(exr.read(source)), ["color"])
    assert_only_color_changed(source, target)
    assert raw_headers(target) == raw_headers(source)


@pytest.mark.parametrize("codec", LOSSY)
def test_a_lossy_codec_gives_way_to_a_lossless_one(
    tmp_path: Path, target: Path, codec: str, caplog: pytest.LogCaptureFixture
) -> None:
    channels = {name: plane(seed, 64, 64).astype(np.float16) for seed, name in enumerate("RGB")}
    others = {f"key.{name}": pixels.copy() for name, pixels in channels.items()}
    source = save_exr(
        tmp_path / "in.exr",
        channels | others,
        compression=getattr(OpenEXR, f"{codec}_COMPRESSION"),
    )
    with caplog.at_level(logging.WARNING):
        exr.write(target, brightened(exr.read(source)), ["color"])
    assert codec in caplog.text
    assert_only_color_changed(source, target)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 1), (3, 5)])
def test_sizes_down_to_one_pixel(tmp_path: Path, target: Path, size: tuple[int, int]) -> None:
    source = save_exr(tmp_path / "in.exr", named(*rgb(), height=size[0], width=size[1]))
    frame = exr.read(source)
    assert frame.size == size
    exr.write(target, brightened(frame), ["color"])
    assert_only_color_changed(source, target)


def test_windows_are_read(tmp_path: Path) -> None:
    frame = exr.read(save_exr(tmp_path / "in.exr", named(*rgb()), **WINDOWS))
    assert frame.data == Window(-3, -2, WIDTH, HEIGHT)
    assert frame.display == Window(0, 0, 20, 10)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.uint32])
def test_every_pixel_type_is_read_and_written_as_it_is(
    tmp_path: Path, target: Path, dtype: type[np.generic]
) -> None:
    channels = {name: (100 * plane(seed)).astype(dtype) for seed, name in enumerate("RGB")}
    source = save_exr(tmp_path / "in.exr", channels)
    frame = exr.read(source)
    assert_array_equal(frame["color"], np.stack(list(channels.values())).astype(np.float32))
    exr.write(target, frame, ["color"])
    assert all(
        same_bits(pixels, channels[name]) for (_, name), pixels in all_channels(target).items()
    )


def test_what_is_finite_stays_finite_in_half(tmp_path: Path, target: Path) -> None:
    source = save_exr(tmp_path / "in.exr", {name: plane(1).astype(np.float16) for name in "RGB"})
    frame = exr.read(source)
    color = np.full_like(frame["color"], 1e6)
    color[:, 0, :3] = np.inf, -np.inf, np.nan
    exr.write(target, frame.with_aovs(color=color), ["color"])
    written = exr.read(target)["color"]
    assert (written[:, 1:] == 65504).all()
    assert_array_equal(written[:, 0, :3], color[:, 0, :3])


def test_a_grey_layer_is_read_as_three_equal_channels_and_written_as_one(
    tmp_path: Path, target: Path
) -> None:
    source = save_exr(tmp_path / "in.exr", named(*rgb(), "albedo.Y"))
    frame = exr.read(source)
    assert_array_equal(frame["albedo"][0], frame["albedo"][2])
    exr.write(target, frame.with_aovs(albedo=2 * frame["albedo"]), ["albedo"])
    assert_array_equal(all_channels(target)[0, "albedo.Y"], 2 * frame["albedo"][0])


def test_a_file_may_replace_the_one_it_was_read_from(tmp_path: Path) -> None:
    path = save_exr(tmp_path / "in.exr", named(*rgb()))
    frame = exr.read(path)
    with pytest.raises(UnwritableFile, match="exists already"):
        exr.write(path, brightened(frame), ["color"])
    exr.write(path, brightened(frame), ["color"], overwrite=True)
    assert_array_equal(exr.read(path)["color"], 2 * frame["color"])
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_computed_from_several_layers_is_not_written_back(
    tmp_path: Path, target: Path
) -> None:
    channels = named(*rgb("Combined"), *rgb("DiffDir"), *rgb("DiffInd"), *rgb("DiffCol"))
    frame = exr.read(save_exr(tmp_path / "in.exr", channels))
    with pytest.raises(MissingAov, match="'diffuse' is computed from several layers"):
        exr.write(target, frame, ["color", "diffuse"])
    assert not target.exists()


def test_a_file_that_changed_its_size_meanwhile_is_not_written(
    tmp_path: Path, target: Path
) -> None:
    source = save_exr(tmp_path / "in.exr", named(*rgb()))
    frame = exr.read(source)
    save_exr(source, named(*rgb(), height=3))
    with pytest.raises(InvalidPixels, match="by now"):
        exr.write(target, frame, ["color"])


def test_a_frame_without_a_file_needs_write_frame(target: Path) -> None:
    with pytest.raises(MissingAov, match="write_frame"):
        exr.write(target, random_frame(4, 4), ["color"])


def test_our_own_layout_comes_back(target: Path) -> None:
    made = random_frame(6, 8)
    frame = Frame(
        {**made.aovs, "sample_count": np.full((1, 6, 8), 32, dtype=np.float32)},
        display=Window(0, 0, 20, 10),
        origin=(-2, 3),
        metadata={"spp": 32, "scene": "box", "time": 0.5},
    )
    exr.write_frame(target, frame)
    back = exr.read(target)
    assert back.source == "kpcn"
    assert (back.data, back.display) == (frame.data, frame.display)
    assert frame.metadata.items() <= back.metadata.items()
    assert back.aovs.keys() == frame.aovs.keys()
    for aov, pixels in frame.aovs.items():
        assert same_bits(back[aov], pixels), aov
    assert "albedo_mse.G" in {name for _, name in all_channels(target)}


def test_half_keeps_full_precision_where_it_matters(target: Path) -> None:
    frame = random_frame(4, 4).with_aovs(forward=np.full((2, 4, 4), 1234.567, dtype=np.float32))
    exr.write_frame(target, frame, half=True)
    types = {name: pixels.dtype for (_, name), pixels in all_channels(target).items()}
    assert types["R"] == types["albedo.G"] == types["mse.R"] == np.float16
    assert types["forward.X"] == np.float32


def test_metadata_that_was_read_can_be_written_again(tmp_path: Path, target: Path) -> None:
    source = save_parts(
        tmp_path / "in.exr", {"one": named(*rgb()), "two": named("id")}, owner="me", framesDone=3
    )
    exr.write_frame(target, exr.read(source))
    assert {"owner": "me", "framesDone": 3}.items() <= exr.read(target).metadata.items()


def test_parts_that_belong_together_must_have_one_window(tmp_path: Path) -> None:
    parts = {"rgba": named(*rgb()), "albedo": named(*rgb(), height=3)}
    with pytest.raises(InvalidPixels, match="AOV 'albedo' in part 'albedo'"):
        exr.read(save_parts(tmp_path / "in.exr", parts, displayWindow=WINDOWS["displayWindow"]))


def test_parts_that_are_not_read_may_have_any_window(tmp_path: Path, target: Path) -> None:
    parts = {"rgba": named(*rgb()), "thumbnail": named(*rgb(), height=3)}
    source = save_parts(tmp_path / "in.exr", parts, displayWindow=WINDOWS["displayWindow"])
    exr.write(target, brightened(exr.read(source)), ["color"])
    assert_only_color_changed(source, target)


def test_layers_can_be_named(tmp_path: Path) -> None:
    source = save_exr(tmp_path / "in.exr", named(*rgb(), *rgb("Paint"), *xyz("Bump"), "far"))
    frame = exr.read(source, layers={"albedo": "paint", "normal": "Bump", "depth": "far"})
    assert frame.aovs.keys() == {"color", "albedo", "normal", "depth"}
    with pytest.raises(MissingAov, match=r"in\.exr: no layer 'none'.*Paint"):
        exr.read(source, layers={"albedo": "none"})
    with pytest.raises(MissingAov, match="does not fit AOV 'normal'"):
        exr.read(source, layers={"normal": "far"})
    with pytest.raises(UnknownName, match="'colour'"):
        exr.read(source, layers={"colour": "Paint"})


def test_a_named_layer_may_have_a_convention_of_its_own(tmp_path: Path) -> None:
    source = save_exr(tmp_path / "in.exr", named(*rgb(), "speed.X", "speed.Y", "speed.Z"))
    stored = exr.read(source, layers={"forward": "speed"})["forward"]
    flipped = '{ layer = "speed", scale = [2, -1] }'
    assert_array_equal(
        exr.read(source, layers={"forward": flipped})["forward"], stored * [[[2]], [[-1]]]
    )
    for recipe, error, problem in [
        ('{ layer = "none" }', MissingAov, "no layer 'none' for AOV 'forward'"),
        ('{ layer = "speed", channels = ["U", "V"] }', MissingAov, "which needs U, V"),
        ('{ layer = "speed", unit = "clip" }', UnknownName, "unknown keys unit"),
        ("{ layers = [] }", UnknownName, "it names no layer"),
        ("{ speed }", UnknownName, "does not say how an AOV is made"),
    ]:
        with pytest.raises(error, match=problem):
            exr.read(source, layers={"forward": recipe})


def test_a_file_without_a_beauty_says_what_was_expected(tmp_path: Path) -> None:
    source = save_exr(tmp_path / "in.exr", named(*rgb("paint")))
    with pytest.raises(MissingAov, match=r"no layer for AOV 'color'.*has paint.*--aov color="):
        exr.read(source)


def test_text_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    source = save_exr(tmp_path / "in.exr", named(*rgb()))
    with_attribute(source, "owner", "string", "René".encode("latin-1"))
    with pytest.raises(UnreadableFile, match="not UTF-8"):
        exr.read(source)
