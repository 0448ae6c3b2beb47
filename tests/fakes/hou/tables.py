"""Which parms Houdini's ROPs have, as far as they are of use here.

Of `usdrender_rop`, `karma`, `rop_image` and `pythonsnippet` as Houdini 22.0.400 listed them; of the
others from their documentation and from public code.
"""

from collections.abc import Callable, Sequence

from tests.fakes.hou.parms import (
    FloatParmTemplate,
    MenuParmTemplate,
    ParmTemplate,
    StringParmTemplate,
    ToggleParmTemplate,
)


def text(name: str, value: str = "") -> ParmTemplate:
    return StringParmTemplate(name, name, 1, default_value=(value,))


def toggle(name: str, value: bool = False) -> ParmTemplate:
    return ToggleParmTemplate(name, name, default_value=value)


def scripts(*events: str) -> list[ParmTemplate]:
    """A ROP's own scripts; hscript unless it says python."""
    return [
        parm
        for event in events
        for parm in (toggle(f"t{event}", True), text(event), text(f"l{event}", "hscript"))
    ]


def husk_scripts() -> list[ParmTemplate]:
    events = ("prerender", "preframe", "postframe", "postrender")
    return [p for e in events for p in (toggle(f"husk_t{e}", True), text(f"husk_{e}"))]


def frames(*more: str) -> list[ParmTemplate]:
    menu = MenuParmTemplate("trange", "Valid Frame Range", ("off", "normal", "on", *more))
    values = zip(("f1", "f2", "f3"), (1.0, 240.0, 1.0), strict=True)
    return [
        menu,
        *(FloatParmTemplate(n, n, 1, default_value=(v,), min=-1e6, max=1e6) for n, v in values),
    ]


SLOTS = ("inputs", "outputs", "bindings")
IMAGES = ("floatn", "int", "float", "float2", "float3", "float4", "geo")


def count(name: str) -> ParmTemplate:
    return FloatParmTemplate(name, name, 1, default_value=(0.0,))


def slots(pattern: str) -> list[ParmTemplate]:
    """Of a multiparm; all are there, whatever its number says."""
    return [text(pattern.replace("#", str(number))) for number in range(1, 10)]


def kinds(pattern: str, tokens: Sequence[str]) -> list[ParmTemplate]:
    names = (pattern.replace("#", str(number)) for number in range(1, 10))
    return [MenuParmTemplate(name, name, tokens) for name in names]


FRAME = ("prerender", "preframe", "postframe", "postrender")
TABLES: dict[str, Callable[[], list[ParmTemplate]]] = {
    "usdrender_rop": lambda: [
        *frames("stage"), text("outputimage"), text("loppath"), toggle("soho_foreground"),
        *husk_scripts(), *scripts(*FRAME),
    ],
    "usdrender": lambda: [
        *frames(), text("outputimage"), text("loppath"), *husk_scripts(), *scripts(*FRAME),
    ],
    "karma": lambda: [
        *frames("stage"), text("picture", "$HIP/render/$HIPNAME.$OS.$F4.exr"),
        toggle("soho_foreground"), *scripts(*FRAME),
    ],
    "ifd": lambda: [
        *frames(), text("vm_picture", "ip"), toggle("soho_foreground"), *scripts(*FRAME),
    ],
    "arnold": lambda: [*frames(), text("ar_picture"), *scripts(*FRAME)],
    "Redshift_ROP": lambda: [*frames(), text("RS_outputFileNamePrefix"), *scripts(*FRAME)],
    "ris": lambda: [
        *frames(), text("ri_display_0"), text("ri_device_0", "it"), text("ri_display_1"),
        text("ri_device_1", "openexr"), *scripts(*FRAME),
    ],
    "rop_image": lambda: [
        *frames(), text("copoutput", "$HIP/comp/$HIPNAME.$OS.$F4.exr"),
        *scripts("prerender", "preframe", "postframe", "postwrite", "postrender"),
    ],
    "geometry": lambda: [*frames(), text("sopoutput"), *scripts(*FRAME)],
    "bare": lambda: [*frames(), text("picture")],
    "pythonsnippet": lambda: [
        text("pythoncode"), toggle("options_maintainstate"), *map(count, SLOTS),
        *slots("input#_name"), *slots("output#_name"), *slots("bindings#_name"),
        *kinds("input#_type", IMAGES), *kinds("output#_type", IMAGES),
        *kinds("bindings#_type", ("int", "float", "float2", "float3", "float4", "ramp", "string")),
        *(toggle(f"input{n}_optional") for n in range(1, 10)),
        *(count(f"bindings{n}_fval") for n in range(1, 10)),
    ],
    "null": list,
}  # fmt: skip
DRIVERS = ("usdrender", "ifd", "arnold", "Redshift_ROP", "ris", "bare", "geometry")
CATEGORIES = {
    **dict.fromkeys(DRIVERS, ("Driver",)), "usdrender_rop": ("Lop",), "karma": ("Lop",),
    "rop_image": ("Cop",), "pythonsnippet": ("Cop",), "null": ("Lop",),
}  # fmt: skip
LOPS = ("usdrender_rop", "karma", "null")
