"""Which knobs Nuke's own nodes have, as far as they are of use here.

Names and values are those of scripts that Nuke saved and of Foundry's published EXR writer.
"""

from collections.abc import Callable
from pathlib import Path

from tests.fakes.nuke.knobs import (
    Boolean_Knob,
    Double_Knob,
    Enumeration_Knob,
    File_Knob,
    Int_Knob,
    Knob,
    Script_Knob,
    String_Knob,
)


class Reload_Knob(Script_Knob):
    """The button of a Read."""

    def execute(self) -> None:
        self.node().cache.clear()


class CreateCat_Knob(Script_Knob):
    """The button of a CatFileCreator; the .cat is the module itself, once it was tried."""

    def execute(self) -> None:
        import torch

        from tests.exports import loaded

        node = self.node()
        source, channels_in, channels_out = (
            str(node[name].value()) for name in ("torchScriptFile", "channelsIn", "channelsOut")
        )
        module = loaded(Path(source))
        given = torch.ones(1, len(channels_in.split(",")), 24, 16)
        assert module(given).shape == (1, len(channels_out.split(",")), 24, 16)
        custom = set(node.knobs()) - {knob.name() for knob in (*common(), *cat_file_creator())}
        for name in custom:
            kind = {Double_Knob: float, Boolean_Knob: int}[type(node[name])]
            assert type(getattr(module, name)) is kind, f"no attribute for the knob '{name}'"
        Path(str(node["catFile"].value())).write_bytes(Path(source).read_bytes())


HOLDS = ("hold", "loop", "bounce", "black")


def common() -> list[Knob]:
    return [String_Knob("name"), String_Knob("label"), Boolean_Knob("disable")]


def read() -> list[Knob]:
    return [
        File_Knob("file"), File_Knob("proxy"), Int_Knob("first"), Int_Knob("last"),
        Enumeration_Knob("before", "", HOLDS), Enumeration_Knob("after", "", HOLDS),
        Enumeration_Knob("frame_mode", "", ("expression", "start at", "offset")),
        String_Knob("frame"), Int_Knob("origfirst"), Int_Knob("origlast"),
        Boolean_Knob("origset"),
        Enumeration_Knob(
            "on_error", "", ("error", "black", "checkerboard", "nearest frame")
        ),
        Reload_Knob("reload"), String_Knob("colorspace"), Boolean_Knob("raw"),
        Boolean_Knob("premultiplied"), Boolean_Knob("auto_alpha"),
        Enumeration_Knob(
            "localizationPolicy", "", ("on", "from auto-localize path", "on demand", "off")
        ),
    ]  # fmt: skip


def write() -> list[Knob]:
    return [
        File_Knob("file"), File_Knob("proxy"), String_Knob("channels"),
        Enumeration_Knob("file_type", "", (" ", "exr", "png")), String_Knob("colorspace"),
        Boolean_Knob("raw"), Boolean_Knob("premultiplied"), Boolean_Knob("create_directories"),
        Int_Knob("first"), Int_Knob("last"), Boolean_Knob("use_limit"),
    ]  # fmt: skip


def write_exr() -> list[Knob]:
    """Those that a Write has once its file type is exr."""
    return [
        Boolean_Knob("write_ACES_compliant_EXR"), Boolean_Knob("autocrop"),
        Boolean_Knob("write_hash"),
        Enumeration_Knob("datatype", "", ("16 bit half", "32 bit float")),
        Enumeration_Knob(
            "compression", "",
            ("none", "Zip (1 scanline)", "Zip (16 scanlines)", "PIZ Wavelet (32 scanlines)",
             "RLE", "B44", "B44A", "DWAA", "DWAB"),
        ),
        Enumeration_Knob(
            "metadata", "",
            ("default metadata", "no metadata", "default metadata and exr/*",
             "all metadata except input/*", "all metadata"),
        ),
        Boolean_Knob("noprefix"),
        Enumeration_Knob(
            "interleave", "", ("channels, layers and views", "channels and layers", "channels")
        ),
        Boolean_Knob("write_full_layer_names"), Boolean_Knob("truncateChannelNames"),
    ]  # fmt: skip


def root() -> list[Knob]:
    return [
        Boolean_Knob("proxy"), File_Knob("project_directory"), Int_Knob("first_frame"),
        Int_Knob("last_frame"),
    ]  # fmt: skip


def multiply() -> list[Knob]:
    return [String_Knob("channels"), Double_Knob("value")]


def cat_file_creator() -> list[Knob]:
    return [
        File_Knob("torchScriptFile"), File_Knob("catFile"), String_Knob("channelsIn"),
        String_Knob("channelsOut"), String_Knob("modelId"), Int_Knob("outputScale"),
        CreateCat_Knob("createCatFile"),
    ]  # fmt: skip


KNOBS: dict[str, Callable[[], list[Knob]]] = {
    "Root": root,
    "Read": read,
    "Write": write,
    "Switch": lambda: [Int_Knob("which")],
    "Input": lambda: [Int_Knob("number")],
    "Multiply": multiply,
    "CatFileCreator": cat_file_creator,
    "Output": list[Knob],
    "Group": list[Knob],
    "Dot": list[Knob],
    "NoOp": list[Knob],
}
