"""The add-on in a real Blender: Cycles renders, a real worker denoises, files are compared."""

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.testing import assert_allclose, assert_array_equal

from kpcn_core import exr, weights
from kpcn_core.cli.main import main
from kpcn_core.frame import Pixels
from kpcn_core.metrics import smape
from kpcn_core.settings import DEFAULT_MODEL
from tests.blender import BLENDER, needs_blender
from tests.blender_host import PLUGIN, Blender, run_script
from tests.exr_files import all_channels
from tests.networks import random_network

pytestmark = needs_blender
FRAMES = (1, 2, 3)


@pytest.fixture(scope="module")
def blender(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Blender]:
    host = Blender(tmp_path_factory.mktemp("blender"))
    yield host
    host.close()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small network."""
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    weights.save(path, random_network(), {})
    return str(path)


@pytest.fixture
def scene(blender: Blender, tmp_path: Path, model: str) -> str:
    """Code that makes the scene, with the add-on enabled; it renders to noisy_0001.exr …"""
    blender.log()
    return made(tmp_path, model)


def made(folder: Path, model: str, name: str = "noisy_####") -> str:
    return textwrap.dedent(f"""
        import blender_scene
        scene = blender_scene.make({str(folder / name)!r})
        layer = scene.view_layers[0]
        scene.kpcn.model = {model!r}
        scene.kpcn.enabled = True
        """)


def files(folder: Path, name: str = "noisy_") -> list[Path]:
    return [folder / f"{name}{number:04d}.exr" for number in FRAMES]


def clean(folder: Path) -> list[Path]:
    return files(folder / "denoised")


def by_command(folder: Path, model: str, *options: str, name: str = "noisy_") -> list[Path]:
    """What `kpcn denoise` makes of the same files."""
    (folder / "command").mkdir()
    paths = [str(folder / f"{name}####.exr"), "-o", str(folder / "command" / f"{name}####.exr")]
    result = CliRunner().invoke(main, ["denoise", *paths, "--model", model, *options])
    assert result.exit_code == 0, result.output
    return files(folder / "command", name)


def same(one: Path, other: Path, but_for: float = 0.0) -> None:
    """All channels of two files are equal, but for a relative difference.

    In dark pixels, of a tenth of what is brightest: structure is relative to areas of pixels.
    """
    first, second = (all_channels(path) for path in (one, other))
    assert first.keys() == second.keys()
    for name, pixels in first.items():
        found, expected = (np.asarray(each, np.float64) for each in (pixels, second[name]))
        least = but_for / 10 * np.abs(expected[np.isfinite(expected)]).max(initial=0.0)
        assert_allclose(found, expected, rtol=but_for, atol=least, err_msg=str(name))


def error(path: Path, reference: Path) -> float:
    return smape(exr.read(path)["color"], exr.read(reference)["color"])


def test_frames_come_back_as_the_command_makes_them_and_with_less_error(
    blender: Blender, scene: str, tmp_path: Path
) -> None:
    blender.run(scene + "scene.kpcn.model = ''; blender_scene.render(scene)")
    noisy = files(tmp_path)
    for hooked, commanded in zip(clean(tmp_path), by_command(tmp_path, DEFAULT_MODEL), strict=True):
        same(hooked, commanded)
    blender.run(f"""
        import blender_scene
        scene = bpy.context.scene
        scene.kpcn.enabled = False
        scene = blender_scene.make({str(tmp_path / "converged_####")!r}, samples=400, seed=1)
        scene.kpcn.enabled, scene.frame_end = True, 1
        blender_scene.render(scene)
    """)
    reference = tmp_path / "converged_0001.exr"
    assert error(clean(tmp_path)[0], reference) < 0.65 * error(noisy[0], reference)
    log = blender.log()
    assert [f"kpcn: {number}: 1 frame denoised." in log for number in FRAMES] == [True] * 3
    assert "Traceback" not in log


def test_a_window_is_the_commands_but_for_rounding(
    blender: Blender, scene: str, tmp_path: Path, model: str
) -> None:
    blender.run(scene + "scene.kpcn.window = '3'; blender_scene.render(scene)")
    assert "ViewLayer.Vector" in {
        name.rpartition(".")[0] for _, name in all_channels(files(tmp_path)[0])
    }
    for hooked, commanded in zip(
        clean(tmp_path), by_command(tmp_path, model, "--window", "3"), strict=True
    ):
        same(hooked, commanded, but_for=1e-5)  # see docs/worker.md


def test_frames_that_wait_for_other_machines_are_left_to_the_last_one(
    blender: Blender, scene: str, tmp_path: Path
) -> None:
    # Each render of a single frame is what a machine of a farm does.
    code = f"""
        from pathlib import Path
        scene.kpcn.window, scene.kpcn.farm = "3", True
        answer = []
        for number in (3, 1, 2):
            bpy.ops.render.render(animation=True, frame_start=number, frame_end=number)
            answer.append(len(list(Path({str(tmp_path)!r}).glob("denoised/*.exr"))))
    """
    assert blender.run(scene + textwrap.dedent(code)) == [0, 0, 3]
    assert "frame 3 waits for 2." in blender.log()


def test_motion_blur_and_a_pass_vector_are_refused_with_a_window(
    blender: Blender, scene: str, tmp_path: Path
) -> None:
    window = "scene.kpcn.window = '3'; scene.render.use_motion_blur = True\n"
    blender.run(scene + window + "scene.frame_end = 1; blender_scene.render(scene)")
    assert "Cycles leaves the pass Vector empty" in blender.log()
    assert files(tmp_path)[0].exists()
    assert not clean(tmp_path)[0].exists()
    vector = blender.run(
        made(tmp_path, "").replace("scene.kpcn.enabled", "scene.render.use_motion_blur")
        + window
        + "scene.kpcn.enabled = True; answer = layer.use_pass_vector"
    )
    assert vector is False


def test_what_was_set_up_is_restored_but_for_what_the_artist_changed(
    blender: Blender, tmp_path: Path
) -> None:
    state = """
    def state(scene):
        image, layer = scene.render.image_settings, scene.view_layers[0]
        return [image.file_format, image.color_mode, image.color_depth, scene.cycles.use_denoising,
                layer.use_pass_normal, layer.use_pass_z, layer.use_pass_vector]
    """
    before, during, after, again = blender.run(
        f"import blender_scene\n{textwrap.dedent(state)}\n"
        + textwrap.dedent(f"""
        scene = blender_scene.make({str(tmp_path / "a_####")!r})
        image, layer = scene.render.image_settings, scene.view_layers[0]
        image.file_format, image.color_mode, image.color_depth = "TIFF", "RGB", "16"
        layer.use_pass_z = True
        answer = [state(scene)]
        scene.kpcn.enabled = True
        scene.kpcn.window = "3"
        answer.append(state(scene))
        scene.kpcn.enabled = False
        answer.append(state(scene))
        scene.kpcn.enabled = True
        image.media_type = "IMAGE"
        image.file_format = "OPEN_EXR"
        layer.use_pass_normal = False
        scene.kpcn.enabled = False
        answer.append(state(scene))
        """)
    )
    assert before == ["TIFF", "RGB", "16", True, False, True, False]
    assert during[0] == "OPEN_EXR_MULTILAYER"
    assert during[3:] == [False, True, True, True]
    assert after == before
    assert again[0] == "OPEN_EXR"
    assert again[3:] == before[3:]


def test_relative_paths_a_template_and_a_single_mark(
    blender: Blender, scene: str, tmp_path: Path
) -> None:
    code = f"""
        scene.render.filepath = "//shots/{{blend_name}}_#_b"
        scene.kpcn.output_file = "//clean/c.###"
        scene.frame_start, scene.frame_end = 9, 10
        bpy.ops.wm.save_as_mainfile(filepath={str(tmp_path / "file.blend")!r})
        blender_scene.render(scene)
        image = next(one for one in bpy.data.images if one.name == "KPCN ViewLayer")
        answer = [image.source, image.filepath, image.type]
    """
    source, path, kind = blender.run(scene + textwrap.dedent(code))
    assert sorted(each.name for each in (tmp_path / "shots").glob("*.exr")) == [
        "file_10_b.exr", "file_9_b.exr",
    ]  # fmt: skip
    assert sorted(each.name for each in (tmp_path / "clean").glob("*.exr")) == [
        "c.009.exr", "c.010.exr",
    ]  # fmt: skip
    assert (source, kind) == ("SEQUENCE", "MULTILAYER")
    assert path == str(tmp_path / "clean" / "c.009.exr")


def test_a_relative_output_needs_a_saved_file(blender: Blender, scene: str) -> None:
    blender.run(scene + "scene.kpcn.output_file = '//a.####'; blender_scene.render(scene)")
    assert "Save the file first" in blender.log()


def test_every_view_layer_is_denoised_with_its_own_passes(
    blender: Blender, scene: str, tmp_path: Path, model: str
) -> None:
    code = """
        scene.view_layers.new("fore ground").samples = 1
        scene.frame_end = 1
        bpy.ops.kpcn.set_up()
        blender_scene.render(scene)
        scene.kpcn.output_file = "//a.####"
        answer = [image.name for image in bpy.data.images if "kpcn_output" in image]
    """
    names = blender.run(scene + textwrap.dedent(code))
    assert set(names) == {"KPCN ViewLayer", "KPCN fore ground"}
    for name, folder in (("ViewLayer", "ViewLayer"), ("fore ground", "fore_ground")):
        result = CliRunner().invoke(
            main,
            ["denoise", str(files(tmp_path)[0]), "-o", str(tmp_path / f"{folder}.exr"), "--model",
             model, "--aov", f"color={name}.Combined"],
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        same(tmp_path / "denoised" / folder / "noisy_0001.exr", tmp_path / f"{folder}.exr")


def test_several_view_layers_are_never_written_to_one_file(
    blender: Blender, scene: str, tmp_path: Path
) -> None:
    output = f"scene.kpcn.output_file = {str(tmp_path / 'c.####.exr')!r}\n"
    blender.run(scene + output + "scene.view_layers.new('b'); blender_scene.render(scene)")
    assert "several view layers or views would be written to it" in blender.log()
    assert not list(tmp_path.glob("c.*"))


def test_stereo_is_denoised_view_by_view_and_refused_in_one_file(
    blender: Blender, scene: str, tmp_path: Path, model: str
) -> None:
    stereo = "scene.frame_end = 1; scene.render.use_multiview = True\n"
    one = "scene.render.image_settings.views_format = 'MULTIVIEW'\n"
    blender.run(scene + stereo + one + "blender_scene.render(scene)")
    assert "choose 'Individual'" in blender.log().replace("Choose", "choose")
    assert not (tmp_path / "denoised").exists()
    individual = "scene.render.image_settings.views_format = 'INDIVIDUAL'\n"
    blender.run(scene + stereo + individual + "blender_scene.render(scene)")
    for eye in "LR":
        name = f"noisy_0001_{eye}.exr"
        result = CliRunner().invoke(
            main,
            ["denoise", str(tmp_path / name), "-o", str(tmp_path / f"{eye}.exr"), "--model", model],
        )
        assert result.exit_code == 0, result.output
        same(tmp_path / "denoised" / name, tmp_path / f"{eye}.exr")


SPOIL = """
def spoil(scene, *_):
    if scene.frame_current == 2:
        with open(scene.render.frame_path(), "r+b") as file:
            file.truncate(1000)
bpy.app.handlers.render_write.insert(0, spoil)
"""


def test_a_corrupt_frame_is_told_and_the_others_are_denoised(
    blender: Blender, scene: str, tmp_path: Path
) -> None:
    end = "\nbpy.app.handlers.render_write.remove(spoil)"
    blender.run(scene + SPOIL + "blender_scene.render(scene)" + end)
    assert [path.exists() for path in clean(tmp_path)] == [True, False, True]
    log = blender.log()
    assert "noisy_0002.exr" in log
    assert "kpcn: not denoised: 2." in log


def test_a_strict_render_ends_blender_with_an_error(tmp_path: Path, model: str) -> None:
    code = """
        from kpcn_blender import hook
        def wait(scene, *_):  # for what was rendered so far
            if scene.frame_current > 2:
                hook._renders[scene.name]._follower._thread.join(60)
        bpy.app.handlers.render_write.insert(0, wait)
        scene.frame_end, scene.kpcn.strict = 9, True
        blender_scene.render(scene)
        print("not reached")
    """
    run = run_script(made(tmp_path, model) + SPOIL + textwrap.dedent(code), tmp_path)
    assert run.returncode == 1, run.stdout + run.stderr
    assert "noisy_0002.exr" in run.stderr
    assert "not reached" not in run.stdout
    assert [path.exists() for path in clean(tmp_path)] == [True, False, False]
    assert sorted(path.name for path in tmp_path.glob("noisy_*")) == [
        path.name for path in files(tmp_path)
    ]


def test_a_render_that_is_cancelled_cancels_the_denoising(
    blender: Blender, scene: str, tmp_path: Path
) -> None:
    # A write that fails is how a render without windows is cancelled.
    code = """
        def unwritable(scene, *_):
            scene.render.filepath = "/dev/null/a_####"
        bpy.app.handlers.render_write.append(unwritable)
        cancelled = []
        bpy.app.handlers.render_cancel.append(lambda *_: cancelled.append(1))
        try:
            blender_scene.render(scene)
        except RuntimeError:
            pass
        bpy.app.handlers.render_write.remove(unwritable)
        bpy.app.handlers.render_cancel.pop()
        from kpcn_blender import hook
        for render in hook._renders.values():
            render._follower.wait()
        answer = [len(cancelled), hook.is_busy()]
    """
    assert blender.run(scene + textwrap.dedent(code)) == [1, False]
    assert not files(tmp_path)[1].exists()
    # The next render is denoised as if nothing had been.
    blender.run(scene + "blender_scene.render(scene)")
    assert all(path.exists() for path in clean(tmp_path))


def test_a_worker_that_is_killed_is_started_again(
    blender: Blender, scene: str, tmp_path: Path
) -> None:
    code = """
        from kpcn_blender import session
        def kill(scene, *_):
            worker = session.client("auto").worker
            if scene.frame_current == 2 and worker:
                os.kill(worker.pid, signal.SIGKILL)
        bpy.app.handlers.render_write.insert(0, kill)
        import os, signal
        session.client("auto").start()
        blender_scene.render(scene)
        bpy.app.handlers.render_write.remove(kill)
    """
    blender.run(scene + textwrap.dedent(code))
    assert all(path.exists() for path in clean(tmp_path))


def test_a_blender_that_does_not_know_where_kpcn_is_says_what_to_do(
    blender: Blender, scene: str, tmp_path: Path
) -> None:
    code = """
        import os
        from kpcn_blender import session
        session.end()
        python = os.environ.pop("KPCN_PYTHON")
        blender_scene.render(scene)
        os.environ["KPCN_PYTHON"] = python
    """
    blender.run(scene + textwrap.dedent(code))
    assert "Set KPCN_PYTHON to the Python in which kpcn is installed" in blender.log()
    assert all(path.exists() for path in files(tmp_path))


def test_missing_passes_are_told_and_the_render_goes_on(
    blender: Blender, scene: str, tmp_path: Path
) -> None:
    code = """
        layer.use_pass_diffuse_color = layer.use_pass_normal = False
        from kpcn_blender import setup
        answer = setup.lacking(scene, 1)
        blender_scene.render(scene)
    """
    lacking = blender.run(scene + textwrap.dedent(code))
    assert lacking == ["pass diffuse_color", "pass normal"]
    assert all(path.exists() for path in files(tmp_path))
    assert not any(path.exists() for path in clean(tmp_path))
    log = blender.log()
    assert "albedo" in log
    assert "kpcn: not denoised: 1-3." in log


def test_a_finished_sequence_is_denoised_once(
    blender: Blender, scene: str, tmp_path: Path, model: str
) -> None:
    code = """
        operators = bpy.ops.kpcn
        scene.kpcn.enabled = False
        scene.kpcn.enabled = True
        from kpcn_blender import hook
        hook.remove()
        blender_scene.render(scene)
        hook.add()
        from pathlib import Path
        answer = [Path(scene.render.frame_path()).parent.joinpath("denoised").exists()]
        answer.append(list(operators.denoise()))
        answer.append(list(operators.denoise()))
        scene.kpcn.frame_range = "1-9"
        try:
            operators.denoise()
        except RuntimeError as error:
            answer.append(str(error))
    """
    before, first, second, refused = blender.run(scene + textwrap.dedent(code))
    assert (before, first, second) == (False, ["FINISHED"], ["FINISHED"])
    for hooked, commanded in zip(clean(tmp_path), by_command(tmp_path, model), strict=True):
        same(hooked, commanded)
    log = blender.log()
    assert "3 frames denoised." in log
    assert "0 frames denoised, 3 unchanged." in log
    assert "4-9" in refused


WINDOWS = """
from types import SimpleNamespace
from kpcn_blender import operators
calls = []
class Manager:
    def __getattr__(self, name):
        return lambda *_, **__: calls.append(name)
context = SimpleNamespace(scene=scene, window=None, workspace=None, window_manager=Manager())
kind = operators.KPCN_OT_denoise
pressed = type("Pressed", (), {
    **{k: v for base in reversed(kind.__mro__) for k, v in vars(base).items()
       if base.__module__ == operators.__name__ and not k.startswith("__")},
    "report": lambda self, level, text: calls.append(text),
})()
assert pressed._begin(context)
def press(kind):
    return list(pressed.modal(context, SimpleNamespace(type=kind)))
"""


def test_the_operator_lets_events_pass_until_it_has_ended(
    blender: Blender, scene: str, tmp_path: Path
) -> None:
    # Blender as a package has no windows: these stand for what it would call.
    code = """
        import time
        answer = [press("MOUSEMOVE")]
        while (found := press("TIMER")) == ["PASS_THROUGH"]:
            time.sleep(0.05)
        answer += [found, calls, kind.poll(bpy.context)]
    """
    run = scene + "blender_scene.render(scene)\nscene.kpcn.asymmetry = 2\n"
    move, end, calls, free = blender.run(run + WINDOWS + textwrap.dedent(code))
    assert (move, end, free) == (["PASS_THROUGH"], ["FINISHED"], True)
    assert "progress_update" in calls
    assert calls[-1] == "3 frames denoised."


def test_escape_cancels_the_operator_and_keeps_what_is_finished(
    blender: Blender, scene: str, tmp_path: Path
) -> None:
    code = """
        import time
        while not any(text.exists() for text in first):
            press("TIMER")
            time.sleep(0.01)
        press("ESC")
        while (found := press("TIMER")) == ["PASS_THROUGH"]:
            time.sleep(0.05)
        answer = [found, calls[-1]]
    """
    many = f"""
        from pathlib import Path
        noisy = Path({str(tmp_path)!r})
        for number in range(4, 200):
            (noisy / f"noisy_{{number:04d}}.exr").hardlink_to(noisy / "noisy_0001.exr")
        scene.frame_end = 199
        scene.kpcn.output_file = str(noisy / "late" / "a.####.exr")
        first = [noisy / "late" / f"a.{{number:04d}}.exr" for number in range(1, 200)]
    """
    run = scene + "blender_scene.render(scene)\n" + textwrap.dedent(many)
    end, told = blender.run(run + WINDOWS + textwrap.dedent(code))
    assert (end, told) == (["CANCELLED"], "Cancelled. What is finished stays.")
    assert 0 < len(list((tmp_path / "late").glob("a.*.exr"))) < 199


def test_a_still_and_what_was_rendered_without_files(
    blender: Blender, scene: str, tmp_path: Path, model: str
) -> None:
    code = """
        bpy.ops.render.render(write_still=True)
        answer = [list(bpy.ops.kpcn.denoise_result())]
        answer.append(sorted(image.name for image in bpy.data.images if "kpcn_output" in image))
        image = next(i for i in bpy.data.images if "kpcn_denoised_0" in i.get("kpcn_output", ""))
        from shutil import copy
        copy(image.filepath, scene.render.filepath + ".result.exr")
    """
    scene = scene.replace("noisy_####", "still")
    done, images = blender.run(scene + textwrap.dedent(code))
    assert done == ["FINISHED"]
    assert len(images) == 2
    result = CliRunner().invoke(
        main,
        ["denoise", str(tmp_path / "still.exr"), "-o", str(tmp_path / "c.exr"), "--model", model],
    )
    assert result.exit_code == 0, result.output
    same(tmp_path / "denoised" / "still.exr", tmp_path / "c.exr")
    same(tmp_path / "still.result.exr", tmp_path / "c.exr")


def test_a_still_named_with_a_mark_is_refused(blender: Blender, scene: str) -> None:
    blender.run(scene + "bpy.ops.render.render(write_still=True)")
    assert "a still with a placeholder" in blender.log()


def test_the_compositors_node_gives_each_frames_denoised_pixels(
    blender: Blender, scene: str, tmp_path: Path
) -> None:
    code = f"""
        blender_scene.render(scene)
        answer = [list(bpy.ops.kpcn.add_to_compositor()), list(bpy.ops.kpcn.add_to_compositor())]
        tree = scene.compositing_node_group
        kinds = [node.bl_idname for node in tree.nodes]
        node = next(node for node in tree.nodes if node.bl_idname == "CompositorNodeImage")
        output = next(node for node in tree.nodes if node.bl_idname == "NodeGroupOutput")
        scene.render.filepath = {str(tmp_path / "before_####")!r}
        scene.kpcn.enabled = False
        scene.render.image_settings.media_type = "MULTI_LAYER_IMAGE"
        scene.cycles.use_denoising = False
        blender_scene.render(scene)
        tree.links.new(node.outputs["Combined"], output.inputs[0])
        scene.render.filepath = {str(tmp_path / "after_####")!r}
        blender_scene.render(scene)
        answer.append(kinds)
    """
    first, second, kinds = blender.run(scene + textwrap.dedent(code))
    assert (first, second) == (["FINISHED"], ["FINISHED"])
    assert sorted(kinds) == ["CompositorNodeImage", "CompositorNodeRLayers", "NodeGroupOutput"]
    for noisy, denoised, before, after in zip(
        files(tmp_path), clean(tmp_path), files(tmp_path, "before_"), files(tmp_path, "after_"),
        strict=True,
    ):  # fmt: skip
        assert_array_equal(composite(before), combined(noisy))
        assert_array_equal(composite(after), combined(denoised))


def composite(path: Path) -> Pixels:
    return exr.read(path, layers={"color": "Composite.Combined"})["color"]


def combined(path: Path) -> Pixels:
    return exr.read(path, layers={"color": "ViewLayer.Combined"})["color"]


def test_the_panel_shows_fields_that_there_are(blender: Blender) -> None:
    shown, there = blender.run("""
        from kpcn_blender import panel
        from kpcn_blender.properties import KpcnSettings
        shown = [*panel.LOOK, *panel.OUTPUT, *panel.LAYERS, *panel.MOTION]
        answer = [shown, list(KpcnSettings.bl_rna.properties.keys())]
    """)
    own = {"rna_type", "name", "enabled", "strict", "farm", "before"}
    assert set(there) == {*shown, *own}


LAYOUT = """
from types import SimpleNamespace
class Layout:
    use_property_split = False
    def prop(self, owner, name, **_):
        shown.append(owner.bl_rna.properties[name].name)
    def operator(self, name, icon="NONE", **_):
        shown.append(getattr(bpy.ops.kpcn, name.partition(".")[2]).get_rna_type().name)
        assert icon in icons
    def label(self, text, icon="NONE"):
        shown.append(text)
        assert icon in icons
    def row(self, align=False):
        return self
    box = row
icons = bpy.types.UILayout.bl_rna.functions["label"].parameters["icon"].enum_items.keys()
def draw(kind):
    methods = {name: getattr(kind, name) for name in ("fields", "draw", "draw_header")
               if hasattr(kind, name)}
    drawn = type("Drawn", (), {**methods, "layout": Layout()})()
    assert kind.poll(bpy.context)
    for name in methods:
        if name != "fields":
            getattr(drawn, name)(bpy.context)
"""


def test_the_panel_is_drawn_of_what_blender_has(blender: Blender, scene: str) -> None:
    # Blender as a package draws nothing; this stands for its layout, and looks all names up.
    code = """
        from kpcn_blender import panel
        shown = []
        layer.use_pass_normal = False
        scene.render.use_motion_blur = True
        for kind in panel.CLASSES:
            draw(kind)
        user = bpy.types.ImageUser.bl_rna.properties.keys()
        answer = [shown, list(user)]
    """
    shown, user = blender.run(scene + LAYOUT + textwrap.dedent(code))
    assert {"KPCN denoising", "asymmetry", "window", "Denoise sequence", "error map"} <= set(shown)
    assert "To be set: pass normal" in shown
    assert "Motion blur: no pass Vector; estimate the motion" in shown
    # What `result.play` sets.
    assert {"frame_start", "frame_duration", "frame_offset", "use_auto_refresh"} <= set(user)


def test_another_engine_and_another_format_are_refused(
    blender: Blender, scene: str, tmp_path: Path
) -> None:
    image = "scene.render.image_settings.media_type = 'IMAGE'\n"
    blender.run(scene + image + "scene.frame_end = 1; blender_scene.render(scene)")
    assert "choose OpenEXR MultiLayer" in blender.log()
    message = blender.run(
        scene
        + """
scene.render.engine = "BLENDER_WORKBENCH"
try:
    bpy.ops.kpcn.denoise()
except RuntimeError as error:
    answer = str(error)
"""
    )
    assert "only Cycles" in message


def test_blenders_own_check_of_the_manifest() -> None:
    (check,) = Path(BLENDER).parent.parent.rglob("bl_pkg/cli/blender_ext.py")
    command = [sys.executable, str(check), "validate", str(PLUGIN / "kpcn")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_blender_finds_the_extension_that_was_installed(tmp_path: Path, model: str) -> None:
    result = CliRunner().invoke(main, ["install", "blender", "--home", str(tmp_path)])
    assert result.exit_code == 0, result.output
    code = f"""
        import addon_utils
        kpcn_blender.unregister()
        for name in [name for name in sys.modules if name.startswith("kpcn_")]:
            del sys.modules[name]
        sys.path.remove({str(PLUGIN)!r})
        scene = blender_scene.make({str(tmp_path / "a_####")!r})  # switches add-ons off, too
        module = addon_utils.enable("bl_ext.user_default.kpcn", default_set=True)
        print("found", module.__file__, kpcn_blender.__file__)
        print("warnings", addon_utils._extensions_warnings_get())
        scene.frame_end = 1
        scene.kpcn.model, scene.kpcn.enabled = {model!r}, True
        blender_scene.render(scene)
        addon_utils.disable("bl_ext.user_default.kpcn")
        print("gone", not hasattr(scene, "kpcn"))
    """
    run = run_script(code, tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"found {tmp_path}" in run.stdout
    assert "warnings {}" in run.stdout
    assert "gone True" in run.stdout
    assert (tmp_path / "denoised" / "a_0001.exr").exists()
