"""Imports point downward, and heavy packages stay where they belong."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CODE = ("kpcn_core", "training", "benchmarks", "deploy", "plugins")

# From the bottom up; a module may import from its own row and the rows above it in this table.
# A package, or the modules that share a first word (exr, exr_write), have one place.
LAYERS = (
    {"errors"},
    {
        "allocation",
        "aov",
        "layer",
        "source",
        "mapping",
        "atomic",
        "background",
        "fingerprint",
        "extras",
        "jsonrpc",
        "protocol",
        "sequence_pattern",
        "memory",
        "patience",
        "interrupt",
    },
    {"ops", "frame", "device", "client", "host", "half_turn"},
    {
        "weights",
        "tiling",
        "features",
        "features_compiled",
        "exr",
        "motion",
        "optical_flow",
        "read_ahead",
        "sequence",
        "claims",
        "model",
        "transfer",
    },
    {
        "region",
        "prepared",
        "encoded",
        "brightness",
        "restoration",
        "structure",
        "inference",
        "settings",
        "tile_budget",
        "composite",
        "error_map",
    },
    {
        "denoiser",
        "sequence_denoiser",
        "metrics",
        "metric_maps",
        "comparison",
        "oidn",
        "picture",
        "provenance",
        "model_card",
    },
    {
        "worker",
        "adaptive",
        "bench",
        "export",
        "farm",
        "install",
        "report",
        "timeline",
        "renderers",
        "demo",
        "doctor",
        "job",
        "merge",
        "renderman",
    },
    {"cli"},
    {"__main__"},
)

# Package -> the only files that may import it.
HOMES = {
    "click": ("kpcn_core/cli/*", "training/cli.py"),
    "rich": ("kpcn_core/cli/*",),
    "OpenEXR": ("kpcn_core/exr*.py", "benchmarks/exr_*.py"),
    "opentimelineio": ("kpcn_core/timeline*.py",),
    "lightning": ("training/*",),
    "mitsuba": ("kpcn_core/renderers/mitsuba*", "training/*", "benchmarks/*"),
    "drjit": ("kpcn_core/renderers/mitsuba*", "training/*", "benchmarks/*"),
    "bpy": ("kpcn_core/renderers/cycles*", "training/*", "plugins/blender/*"),
    "pyluxcore": ("kpcn_core/renderers/luxcore*", "training/renderers/luxcore*"),
    "cv2": ("kpcn_core/optical_flow.py",),
    "matplotlib": ("training/experiments/plots.py",),
    "numba": (
        "kpcn_core/ops/compiler.py",
        "kpcn_core/ops/lanes.py",
        "kpcn_core/ops/shuffles.py",
        "kpcn_core/ops/registers.py",
    ),
    "onnx": ("kpcn_core/export/onnx.py",),
    "onnxruntime": ("benchmarks/*",),
    "pyoidn": ("kpcn_core/oidn.py",),
    "flip_evaluator": ("kpcn_core/metrics.py",),
    "PIL": ("kpcn_core/picture.py", "benchmarks/*"),
    "torchmetrics": ("kpcn_core/metrics.py", "training/*"),
    "training": ("training/*", "benchmarks/*"),
    "benchmarks": ("benchmarks/*",),
}

# and client_*, host_*, protocol_*
HOST_MODULES = ("errors", "jsonrpc", "protocol", "client", "host", "sequence_pattern")
PLUGINS = (
    "plugins.",
    "kpcn_nuke",
    "kpcn_houdini",
    "kpcn_husk",
    "kpcn_blender",
)  # packages of the plugins themselves
INPUT_OUTPUT = {"pathlib", "os", "io", "shutil", "tempfile", "subprocess", "safetensors"}


def python_files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> Iterator[str]:
    """Every dotted name that a file imports, at any depth."""
    for node in ast.walk(ast.parse(path.read_bytes(), relative(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{relative(path)}: write absolute imports"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def place(module: str) -> str | None:
    """The entry of `LAYERS` for `kpcn_core.<module>…`; None for the bare package."""
    parts = module.split(".")
    name = parts[1] if len(parts) > 1 else ""
    known = set().union(*LAYERS)
    return name if name in known else next((p for p in known if name.startswith(f"{p}_")), None)


def ours() -> list[Path]:
    return [path for path in python_files("kpcn_core") if path.parent.name != "kpcn_core"] + [
        path for path in sorted((ROOT / "kpcn_core").glob("*.py")) if path.stem != "__init__"
    ]


def edges() -> Iterator[tuple[Path, str, str]]:
    """(file, its place, the place of something of ours that it imports)."""
    for path in ours():
        here = place(relative(path).removesuffix(".py").replace("/", "."))
        assert here, f"{relative(path)}: give it a place in LAYERS"
        for name in imports(path):
            there = place(name) if name.startswith("kpcn_core.") else None
            if there:
                yield path, here, there


def level(name: str) -> int:
    return next(index for index, names in enumerate(LAYERS) if name in names)


def test_imports_point_downward() -> None:
    upward = [
        f"{relative(path)} imports {there}"
        for path, here, there in edges()
        if level(there) > level(here)
    ]
    assert not upward


def test_no_two_places_import_each_other() -> None:
    graph: dict[str, set[str]] = {}
    for _, here, there in edges():
        if here != there:
            graph.setdefault(here, set()).add(there)
    TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize("package", HOMES)
def test_packages_are_imported_only_where_they_belong(package: str) -> None:
    strays = [
        relative(path)
        for path in python_files(*CODE)
        if any(name.split(".")[0] == package for name in imports(path))
        and not any(fnmatch(relative(path), home) for home in HOMES[package])
    ]
    assert not strays


def test_operations_and_modules_do_no_input_or_output() -> None:
    strays = [
        f"{relative(path)} imports {name}"
        for path in python_files("kpcn_core/ops", "kpcn_core/model")
        for name in imports(path)
        if name.split(".")[0] in INPUT_OUTPUT
    ]
    assert not strays


def host_modules() -> list[Path]:
    folder = ROOT / "kpcn_core"
    return [
        path
        for name in HOST_MODULES
        for path in (*folder.glob(f"{name}.py"), *folder.glob(f"{name}_*.py"))
    ]


def test_what_hosts_import_is_standard_library_only() -> None:
    modules = host_modules()
    allowed = tuple(f"kpcn_core.{name}" for name in HOST_MODULES)
    strays = [
        f"{relative(path)} imports {name}"
        for path in [*modules, *python_files("plugins")]
        for name in imports(path)
        if name.split(".")[0] not in {*sys.stdlib_module_names, "nuke", "nukescripts", "hou", "bpy"}
        and not name.startswith((*allowed, *PLUGINS))
    ]
    assert not strays


@pytest.mark.parametrize("path", [*host_modules(), *python_files("plugins")], ids=relative)
def test_what_hosts_import_is_python_3_9(path: Path) -> None:
    tree = ast.parse(path.read_bytes(), feature_version=(3, 9))
    if path.stem == "errors":
        return  # has no annotations
    assert any(
        isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body
    ), "annotations such as `int | None` must not be evaluated"


def test_the_client_loads_nothing_heavy() -> None:
    script = "import sys, kpcn_core.client; print(sorted({'torch', 'numpy'} & set(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert run.stdout.strip() == "[]"


def test_help_is_light() -> None:
    script = (
        "import sys; from kpcn_core.cli.main import main; main(['--help'], standalone_mode=False);"
        "print(sorted({'torch', 'numpy', 'OpenEXR', 'rich'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert "Commands" in run.stdout
    assert run.stdout.splitlines()[-1] == "[]"
