"""Timelines: the EXR media of every clip as a shot to denoise, and the same edit with clean media.

A shot is what a clip shows: its trimmed range, what transitions and retimes add, and handles. A
window looks at nothing else, so it ends at every cut.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import opentimelineio as otio

from kpcn_core.atomic import replaced
from kpcn_core.errors import KpcnError, MissingFrames, UnreadableFile, UnwritableFile
from kpcn_core.sequence import Shot
from kpcn_core.timeline_media import Media, is_exr, media, relinked
from kpcn_core.timeline_range import shown, track_of, visible

NOT_IN_NAMES = re.compile(r"[^\w.-]+")


@dataclass
class ClipShot:
    """What clips of the same media and range have to be denoised.

    Attributes:
        name: of the first clip; the outputs lie in a folder of this name.
        media: where its files are.
        shot: the files.
        targets: the outputs by frame number.
        clips: all that show it.
    """

    name: str
    media: Media
    shot: Shot
    targets: dict[int, Path]
    clips: list[otio.schema.Clip] = field(default_factory=list)


@dataclass
class Plan:
    """What an edit needs.

    Attributes:
        shots: what to denoise.
        kept: clips that stay as they are, and why.
    """

    shots: list[ClipShot]
    kept: list[tuple[str, str]]


def read(path: Path, rate: float | None = None) -> otio.core.SerializableObject:
    """Read an .otio file, or another kind that an installed adapter of OpenTimelineIO reads.

    Args:
        path: the timeline.
        rate: frames per second of an EDL, which does not say; 24 if it is not given.

    Raises:
        UnreadableFile: it is missing or damaged, or there is no adapter.
    """
    try:
        options = {} if rate is None else {"rate": rate}
        found = otio.adapters.read_from_file(str(path), **options)
    except otio.exceptions.NoKnownAdapterForExtensionError as error:
        known = sorted(otio.adapters.suffixes_with_defined_adapters(read=True))
        raise UnreadableFile(
            f"{path}: expected a timeline as {', '.join(f'.{suffix}' for suffix in known)}. For "
            f"others, install an adapter of OpenTimelineIO."
        ) from error
    except Exception as error:  # adapters are plug-ins: there is no telling what they raise
        raise UnreadableFile(f"{path}: not a readable timeline: {_line(error)}") from error
    if not hasattr(found, "find_clips"):
        kind = type(found).__name__
        raise UnreadableFile(f"{path}: not a readable timeline: expected clips; it is a {kind}.")
    return found


def write(path: Path, edit: otio.core.SerializableObject, overwrite: bool = False) -> None:
    """Write a timeline; the file appears whole or not at all.

    Raises:
        UnwritableFile: it cannot be written, or its kind cannot hold this edit.
    """
    with replaced(path, overwrite) as temporary:
        try:
            otio.adapters.write_to_file(edit, str(temporary))
        except OSError:
            raise
        except Exception as error:  # see `read`
            raise UnwritableFile(
                f"{path}: this edit cannot be written as {path.suffix or 'a file without suffix'}: "
                f"{_line(error)}. An .otio file can hold every edit."
            ) from error


def plan(
    edit: otio.core.SerializableObject,
    folder: Path,
    output: Path,
    handles: int = 0,
    *,
    skip_missing: bool = False,
) -> Plan:
    """What has to be denoised for an edit.

    Args:
        edit: a timeline, or anything that has clips in it.
        folder: where relative paths of its media start.
        output: gets a folder for each clip, with files of the same names as the noisy ones.
        handles: frames to denoise on both sides of each clip, as far as there are any.
        skip_missing: clips whose media is not there stay as they are.

    Raises:
        MissingFrames: a clip shows frames that are not on disk.
        Unsupported, UnknownName: a clip refers to its media in a way that is not understood.
    """
    found = Plan([], [])
    for clip in edit.find_clips():
        reason = _reason_to_keep(clip)
        if reason:
            found.kept.append((clip.name, reason))
            continue
        try:
            _add(found, clip, folder, output, handles)
        except MissingFrames as error:
            if not skip_missing:
                raise
            found.kept.append((clip.name, str(error)))
    return found


def relink(found: Plan) -> None:
    """Let the clips of a plan refer to what was denoised; all else about them stays."""
    for part in found.shots:
        targets = sorted(part.targets.items())
        for clip in part.clips:
            clip.media_reference = relinked(clip.media_reference, part.media, targets)


def _reason_to_keep(clip: otio.schema.Clip) -> str:
    track = track_of(clip)
    if track is not None and track.kind != otio.schema.TrackKind.Video:
        return f"on a track of kind {track.kind}"
    reference = clip.media_reference
    if reference is None or reference.is_missing_reference:
        return "refers to no media"
    if isinstance(reference, otio.schema.GeneratorReference):
        return "made by a generator"
    return "" if is_exr(reference) else f"not EXR: {getattr(reference, 'target_url', reference)}"


def _add(found: Plan, clip: otio.schema.Clip, folder: Path, output: Path, handles: int) -> None:
    try:
        source = media(clip.media_reference, folder, visible(clip))
        there = source.files()
        numbers = shown(clip, source, there, handles)
    except KpcnError as error:
        raise type(error)(f"clip '{clip.name}': {error}") from error
    same = next((part for part in found.shots if _is_same(part, source, numbers)), None)
    if same:
        same.clips.append(clip)
        return
    name = _free_name(clip.name, {part.name for part in found.shots})
    files = {number: there[number] for number in numbers}
    targets = {number: output / name / path.name for number, path in files.items()}
    shot = Shot([(files[number], targets[number]) for number in numbers], list(files.values()))
    found.shots.append(ClipShot(name, source, shot, targets, [clip]))


def _is_same(part: ClipShot, source: Media, numbers: list[int]) -> bool:
    return part.media == source and list(part.targets) == numbers


def _free_name(name: str, taken: set[str]) -> str:
    """A folder's name for a clip, which is the same for the same edit."""
    plain = NOT_IN_NAMES.sub("_", Path(name).stem if name.endswith(".exr") else name).strip("._")
    plain = plain[:100] or "clip"
    found, count = plain, 1
    while found in taken:
        count += 1
        found = f"{plain}_{count}"
    return found


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
