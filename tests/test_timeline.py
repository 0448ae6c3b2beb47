"""Timelines: which frames of which media, and the edit afterwards."""

import shutil
from collections.abc import Iterable
from pathlib import Path

import opentimelineio as otio
import pytest
from click.testing import CliRunner
from opentimelineio.opentime import RationalTime, TimeRange

from kpcn_core import exr, timeline, weights
from kpcn_core.cli.main import main
from kpcn_core.errors import MissingFrames, UnknownName, UnreadableFile, Unsupported, UnwritableFile
from tests.frames import moving_frame, random_frame
from tests.networks import random_network

RATE = 24
FRAMES = range(1001, 1041)  # of each shot on disk

Numbers = list[list[int]]


def span(start: float, duration: float, rate: float = RATE) -> TimeRange:
    return TimeRange(RationalTime(start, rate), RationalTime(duration, rate))


def rendered(folder: Path, name: str, frames: Iterable[int] = FRAMES) -> None:
    for number in frames:
        (folder / f"{name}.{number:04d}.exr").touch()


def sequence(
    folder: Path | str, name: str, start: float = 1001, duration: float = 40
) -> otio.schema.ImageSequenceReference:
    return otio.schema.ImageSequenceReference(
        target_url_base=folder.as_uri() if isinstance(folder, Path) else folder,
        name_prefix=f"{name}.",
        name_suffix=".exr",
        start_frame=1001,
        frame_step=1,
        rate=RATE,
        frame_zero_padding=4,
        available_range=span(start, duration),
    )


def clip(
    media: otio.core.MediaReference | None, used: TimeRange | None, name: str = "a"
) -> otio.schema.Clip:
    return otio.schema.Clip(name, media, used)


def edit(*items: otio.core.Composable) -> otio.schema.Timeline:
    made = otio.schema.Timeline("edit")
    made.tracks.append(otio.schema.Track("V1", children=list(items)))
    return made


def planned(made: otio.schema.Timeline, folder: Path, handles: int = 0) -> Numbers:
    found = timeline.plan(made, folder, folder / "clean", handles)
    return [list(part.targets) for part in found.shots]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        rendered(tmp_path, name)
    return tmp_path


def test_a_clip_needs_its_trimmed_range_and_handles_that_are_there(folder: Path) -> None:
    made = edit(clip(sequence(folder, "a"), span(1003, 4)))
    assert planned(made, folder) == [[1003, 1004, 1005, 1006]]
    assert planned(made, folder, 3) == [list(range(1001, 1010))]


def test_a_clip_without_a_range_needs_all_that_is_available(folder: Path) -> None:
    made = edit(clip(sequence(folder, "a", duration=7), None))
    assert planned(made, folder) == [list(range(1001, 1008))]


def test_times_are_not_frame_numbers(folder: Path) -> None:
    """A timecode of one hour where the first file is 1001, as cameras and conforms have it."""
    made = edit(clip(sequence(folder, "a", start=86400), span(86402, 2)))
    assert planned(made, folder) == [[1003, 1004]]


def test_another_rate_of_the_clip(folder: Path) -> None:
    """48 steps a second over media of 24: every frame twice, and a part of one counts."""
    made = edit(clip(sequence(folder, "a", start=0), span(3, 4, rate=48)))
    assert planned(made, folder) == [[1002, 1003, 1004]]


def test_a_rate_that_is_no_whole_number(folder: Path) -> None:
    media = sequence(folder, "a")
    media.rate, media.available_range = 29.97, span(33790, 40, 29.97)
    made = edit(clip(media, span(33793, 9, 29.97)))
    found = timeline.plan(made, folder, folder / "clean")
    assert list(found.shots[0].targets) == list(range(1004, 1013))
    timeline.relink(found)
    again = made.find_clips()[0].media_reference
    assert again.frame_for_time(RationalTime(33793, 29.97)) == 1004


def test_a_sequence_on_twos(tmp_path: Path) -> None:
    rendered(tmp_path, "a", range(1001, 1041, 2))
    media = sequence(tmp_path, "a")
    media.frame_step = 2
    assert planned(edit(clip(media, span(1003, 4))), tmp_path, 1) == [[1001, 1003, 1005, 1007]]
    assert planned(edit(clip(media, span(1004, 2))), tmp_path) == [[1003, 1005]]


def test_windows_end_at_cuts(folder: Path) -> None:
    reel = sequence(folder, "a")
    made = edit(clip(reel, span(1001, 5)), clip(reel.clone(), span(1006, 5), "b"))
    found = timeline.plan(made, folder, folder / "clean").shots
    assert [[path.name[2:6] for path in part.shot.frames] for part in found] == [
        ["1001", "1002", "1003", "1004", "1005"],
        ["1006", "1007", "1008", "1009", "1010"],
    ]


def test_a_transition_shows_frames_beyond_the_cut(folder: Path) -> None:
    made = edit(
        clip(sequence(folder, "a"), span(1001, 5)),
        otio.schema.Transition(
            "dissolve", "SMPTE_Dissolve", *(RationalTime(n, 24) for n in (2, 3))
        ),
        clip(sequence(folder, "b"), span(1011, 5), "b"),
    )
    assert planned(made, folder) == [list(range(1001, 1009)), list(range(1009, 1016))]


def test_a_transition_beside_a_nested_stack_reaches_into_it(folder: Path) -> None:
    nested = otio.schema.Stack(children=[clip(sequence(folder, "b"), span(1011, 5))])
    made = edit(
        clip(sequence(folder, "a"), span(1001, 5)),
        otio.schema.Transition(
            "dissolve", "SMPTE_Dissolve", *(RationalTime(n, 24) for n in (2, 3))
        ),
        nested,
    )
    assert planned(made, folder)[1] == list(range(1009, 1016))


@pytest.mark.parametrize(
    ("speed", "expected"),
    [
        (2.0, range(1010, 1018)),
        (0.5, range(1010, 1012)),
        (0.0, range(1010, 1011)),
        (-1.0, range(1006, 1014)),
        (-20.0, range(1001, 1041)),
    ],
)
def test_a_linear_retime_shows_more_or_less_of_the_media(
    folder: Path, speed: float, expected: range
) -> None:
    item = clip(sequence(folder, "a"), span(1010, 4))
    item.effects.append(otio.schema.LinearTimeWarp(time_scalar=speed))
    assert planned(edit(item), folder) == [list(expected)]


def test_a_freeze_frame_shows_one(folder: Path) -> None:
    item = clip(sequence(folder, "a"), span(1010, 400))
    item.effects.append(otio.schema.FreezeFrame())
    assert planned(edit(item), folder) == [[1010]]


def test_a_retime_that_does_not_say_what_it_shows_needs_all_of_the_media(folder: Path) -> None:
    item = clip(sequence(folder, "a"), span(1010, 4))
    item.effects.append(otio.schema.TimeEffect("curve"))
    assert planned(edit(item), folder) == [list(FRAMES)]
    stack = otio.schema.Stack(children=[clip(sequence(folder, "a"), span(1010, 4))])
    stack.effects.append(otio.schema.LinearTimeWarp(time_scalar=2))
    assert planned(edit(stack), folder) == [list(FRAMES)]


def test_other_effects_change_nothing(folder: Path) -> None:
    item = clip(sequence(folder, "a"), span(1010, 2))
    item.effects.append(otio.schema.Effect("blur", "Blur"))
    assert planned(edit(item), folder) == [[1010, 1011]]


def test_nested_stacks_tracks_and_gaps(folder: Path) -> None:
    inner = otio.schema.Track(
        children=[
            otio.schema.Gap(source_range=span(0, 5)),
            clip(sequence(folder, "a"), span(1001, 2)),
        ]
    )
    made = edit(otio.schema.Stack(children=[inner, clip(sequence(folder, "b"), span(1004, 1))]))
    assert planned(made, folder) == [[1001, 1002], [1004]]


def test_the_same_media_and_range_is_denoised_once(folder: Path) -> None:
    media = sequence(folder, "a")
    made = edit(*(clip(media.clone(), span(1001, 5), name) for name in ("one", "two")))
    found = timeline.plan(made, folder, folder / "clean")
    assert [(part.name, len(part.clips)) for part in found.shots] == [("one", 2)]


def test_clips_of_one_name_get_folders_of_their_own(folder: Path) -> None:
    made = edit(
        clip(sequence(folder, "a"), span(1001, 1), "sh/010 é"),
        clip(sequence(folder, "a"), span(1002, 1), "sh/010 é"),
        clip(sequence(folder, "a"), span(1003, 1), "../.."),
    )
    found = timeline.plan(made, folder, folder / "clean").shots
    assert [part.name for part in found] == ["sh_010_é", "sh_010_é_2", "clip"]
    assert list(found[1].targets.values()) == [folder / "clean" / "sh_010_é_2" / "a.1002.exr"]


@pytest.mark.parametrize(
    ("url", "available"),
    [
        ("a.####.exr", None),
        ("a.%04d.exr", None),
        ("{folder}/a.%04d.exr", None),
        ("a.[1001-1040].exr", span(1001, 40)),
        ("a.1001.exr", span(1001, 40)),
        ("a.####.exr", span(1001, 40)),
    ],
)
def test_other_ways_to_name_a_sequence(folder: Path, url: str, available: TimeRange | None) -> None:
    media = otio.schema.ExternalReference(url.format(folder=folder.as_uri()), available)
    made = edit(clip(media, span(1003, 2)))
    found = timeline.plan(made, folder, folder / "clean")
    assert [list(part.targets) for part in found.shots] == [[1003, 1004]]
    timeline.relink(found)
    (folder / "clean" / "a").mkdir(parents=True)
    for target in found.shots[0].targets.values():
        target.touch()
    assert planned(made, Path("/nowhere")) == [[1003, 1004]]


def test_a_still(folder: Path) -> None:
    (folder / "my still.exr").touch()
    url = (folder / "my still.exr").as_uri()
    assert "%20" in url
    made = edit(clip(otio.schema.ExternalReference(url), span(0, 50)))
    found = timeline.plan(made, folder, folder / "clean")
    assert found.shots[0].shot.files[0][0] == folder / "my still.exr"
    timeline.relink(found)
    assert made.find_clips()[0].media_reference.target_url.endswith("/clean/a/my%20still.exr")


def test_what_is_no_render_is_kept(folder: Path) -> None:
    movie = otio.schema.ExternalReference("file:///a/edit.mov")
    made = edit(
        clip(None, span(0, 5), "nothing"),
        clip(otio.schema.MissingReference(), span(0, 5), "missing"),
        clip(otio.schema.GeneratorReference("bars", "SMPTEBars"), span(0, 5), "bars"),
        clip(movie, span(0, 5), "movie"),
    )
    sound = otio.schema.Track("A1", kind=otio.schema.TrackKind.Audio)
    sound.append(clip(sequence(folder, "a"), span(1001, 5), "sound"))
    made.tracks.append(sound)
    found = timeline.plan(made, folder, folder / "clean")
    assert not found.shots
    assert [name for name, _ in found.kept] == ["nothing", "missing", "bars", "movie", "sound"]
    assert "edit.mov" in found.kept[3][1]


def test_missing_frames_are_named_with_their_clip(folder: Path) -> None:
    (folder / "a.1003.exr").unlink()
    made = edit(
        clip(sequence(folder, "a"), span(1001, 5), "one"),
        clip(sequence(folder, "b"), span(1001, 5), "two"),
    )
    with pytest.raises(MissingFrames, match=r"clip 'one': .* 1 of 5 frames are missing: 1003"):
        planned(made, folder)
    found = timeline.plan(made, folder, folder / "clean", skip_missing=True)
    assert [part.name for part in found.shots] == ["two"]
    assert "1003" in found.kept[0][1]


@pytest.mark.parametrize(
    ("url", "used", "error"),
    [
        ("https://server/a.####.exr", span(1001, 5), Unsupported),
        ("a.####.exr", None, UnknownName),
        ("a.####.##.exr", span(1001, 5), UnknownName),
    ],
)
def test_media_that_is_not_understood(
    folder: Path, url: str, used: TimeRange | None, error: type[Exception]
) -> None:
    made = edit(clip(otio.schema.ExternalReference(url), used))
    with pytest.raises(error, match="clip 'a': "):
        planned(made, folder)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"OTIO_SCHEMA": "Timeline.99"}', b"\xff\xfe"])
def test_a_broken_timeline(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "edit.otio"
    path.write_bytes(content)
    result = CliRunner().invoke(main, ["timeline", str(path), "-o", "x.otio", "--output-dir", "x"])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {path}: not a readable timeline")


def test_an_edl_does_not_say_its_rate(tmp_path: Path) -> None:
    pytest.importorskip("otio_cmx3600_adapter")
    path = tmp_path / "edit.edl"
    times = "01:00:00:24 01:00:02:00 00:00:00:00 00:00:01:01"
    path.write_text(f"TITLE: edit\n\n001  shot_010 V     C        {times}\n")
    with pytest.raises(UnreadableFile, match="frames beyond 23"):
        timeline.read(path)
    found = timeline.read(path, 25)
    assert found.find_clips()[0].trimmed_range() == span(90024, 26, 25)
    assert timeline.plan(found, tmp_path, tmp_path / "clean").kept
    with pytest.raises(UnreadableFile, match="rate"):
        timeline.read(path.with_suffix(".otio"), 25)


def test_a_timeline_of_an_unknown_kind(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"expected a timeline as .*\.otio"):
        timeline.read(tmp_path / "edit.xyz")
    with pytest.raises(UnreadableFile, match="No such file"):
        timeline.read(tmp_path / "edit.otio")
    with pytest.raises(UnwritableFile, match=r"cannot be written as \.xyz"):
        timeline.write(tmp_path / "edit.xyz", edit())


@pytest.fixture
def cut(tmp_path: Path) -> Path:
    """Two shots of three small frames, cut to two each, in an edit with everything."""
    weights.save(tmp_path / "small.safetensors", random_network(), {})
    for name in ("a", "b"):
        for number in (1001, 1002, 1003):
            path = tmp_path / f"{name}.{number}.exr"
            exr.write_frame(path, moving_frame(8, 8, seed=number))
    first = clip(sequence("", "a", duration=3), span(1001, 2), "first")
    first.metadata["studio"] = {"id": 7}
    first.media_reference.metadata["colour"] = "ACEScg"
    first.markers.append(otio.schema.Marker("note", span(1001, 1), otio.schema.MarkerColor.RED))
    first.effects.append(otio.schema.Effect("grade", "CDL", {"slope": 1.1}))
    second = clip(sequence("", "b", duration=3), span(1002, 2), "second")
    made = edit(otio.schema.Gap(source_range=span(0, 3)), first, second)
    made.metadata["project"] = "x"
    timeline.write(tmp_path / "edit.otio", made)
    return tmp_path


def run(folder: Path, *options: str) -> tuple[int, str]:
    result = CliRunner().invoke(
        main,
        [
            *("timeline", str(folder / "edit.otio"), "-o", str(folder / "clean.otio")),
            *("--output-dir", str(folder / "clean"), "--device", "cpu"),
            *("--model", str(folder / "small.safetensors"), *options),
        ],
    )
    return result.exit_code, result.output


def test_the_new_edit_differs_in_its_media_only(cut: Path) -> None:
    assert run(cut)[0] == 0
    before, after = (timeline.read(cut / name) for name in ("edit.otio", "clean.otio"))
    files = sorted(path.relative_to(cut).as_posix() for path in (cut / "clean").rglob("*.exr"))
    assert files == [
        *(f"clean/first/a.{number}.exr" for number in (1001, 1002)),
        *(f"clean/second/b.{number}.exr" for number in (1002, 1003)),
    ]
    for old, new in zip(before.find_clips(), after.find_clips(), strict=True):
        was, now = old.media_reference, new.media_reference
        assert now.metadata["kpcn"]["noisy"] == was.abstract_target_url("####")
        del now.metadata["kpcn"]
        assert now.metadata == was.metadata
        first = new.trimmed_range().start_time
        assert now.frame_for_time(first) == was.frame_for_time(first)
        name = f"{was.name_prefix}{was.frame_for_time(first)}.exr"
        assert now.target_url_for_image_number(0) == (cut / "clean" / new.name / name).as_uri()
        new.media_reference = old.media_reference.clone()
    assert after.is_equivalent_to(before)


def test_a_frame_beside_a_cut_is_as_if_the_window_was_ended_by_hand(cut: Path) -> None:
    assert run(cut, "--window", "3")[0] == 0
    hand = cut / "hand"
    hand.mkdir()
    for number in (1001, 1002):
        shutil.copy(cut / f"a.{number}.exr", hand)
    model = ("--model", str(cut / "small.safetensors"), "--device", "cpu", "--window", "3")
    command = ["denoise", str(hand / "a.####.exr"), "-o", str(hand / "clean.####.exr"), *model]
    assert CliRunner().invoke(main, command).exit_code == 0
    for number in (1001, 1002):
        ours = (cut / "clean" / "first" / f"a.{number}.exr").read_bytes()
        assert ours == (hand / f"clean.{number}.exr").read_bytes()
    longer = ["denoise", str(cut / "a.####.exr"), "-o", str(hand / "longer.####.exr"), *model]
    assert CliRunner().invoke(main, longer).exit_code == 0
    assert (hand / "longer.1002.exr").read_bytes() != (hand / "clean.1002.exr").read_bytes()


def test_an_edit_is_resumed(cut: Path) -> None:
    assert run(cut, "--resume")[0] == 0
    files = sorted((cut / "clean").rglob("*.exr"))
    before = [path.stat().st_mtime_ns for path in files]
    files[1].unlink()
    assert run(cut, "--resume")[0] == 0
    after = [path.stat().st_mtime_ns for path in files]
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, True, True]


def test_a_dry_run_writes_nothing(cut: Path) -> None:
    before = sorted(cut.rglob("*"))
    code, text = run(cut, "--dry-run", "--handles", "1")
    assert code == 0
    assert "first: 1001-1003 of" in text
    assert sorted(cut.rglob("*")) == before


def test_a_frame_that_fails_leaves_no_edit(cut: Path) -> None:
    (cut / "a.1002.exr").write_bytes(b"broken")
    code, text = run(cut)
    assert code == 1
    assert "1 of 4 frames were not written" in text
    assert (cut / "clean" / "second" / "b.1003.exr").exists()
    assert not (cut / "clean.otio").exists()
    assert run(cut)[0] == 1
    exr.write_frame(cut / "a.1002.exr", random_frame(8, 8), overwrite=True)
    assert run(cut, "--overwrite")[0] == 0
