"""The doctor says what is broken and how to mend it, and survives all of it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from kpcn_core import doctor, install, weights
from kpcn_core.cli.main import main
from kpcn_core.doctor_finding import BAD, GOOD, OPTIONAL, Finding
from kpcn_core.settings import DEFAULT_MODEL


def found(name: str) -> Finding:
    return next(finding for finding in doctor.findings() if finding.name == name)


@pytest.fixture(autouse=True)
def no_renderer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mitsuba takes seconds to load, and has tests of its own."""
    kept = tuple(check for check in doctor.CHECKS if check is not doctor._mitsuba)
    monkeypatch.setattr(doctor, "CHECKS", kept)


def test_what_is_needed_is_here() -> None:
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 0, result.output
    assert DEFAULT_MODEL in result.output
    assert "BAD" not in result.output


def test_damaged_weights_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(weights.find(DEFAULT_MODEL).read_bytes())
    data[-1] ^= 1
    (tmp_path / f"{DEFAULT_MODEL}.safetensors").write_bytes(data)
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 1
    assert "do not match the hash" in result.output
    assert "1 things that are needed are broken" in result.output
    (tmp_path / f"{DEFAULT_MODEL}.safetensors").unlink()
    assert found("networks").state == BAD


@pytest.mark.parametrize(
    ("cuda", "driver", "expected"),
    [
        (None, False, "CPU only"),
        (None, True, "Install one for your GPU"),
        ("12.8", False, "no NVIDIA driver"),
        ("12.8", True, "Update the NVIDIA driver"),
    ],
)
def test_why_there_is_no_gpu(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cuda: str | None,
    driver: bool,
    expected: str,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(doctor, "DRIVERS", (str(tmp_path),) if driver else ())
    monkeypatch.setattr("shutil.which", lambda _: None)
    finding = found("GPU")
    assert finding.state == OPTIONAL
    assert expected in finding.text + finding.mend


def test_hosts_are_found_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Nuke16.0").touch(mode=0o755)
    (tmp_path / "blender.txt").touch(mode=0o644)
    monkeypatch.setenv("PATH", f"{tmp_path}:/nowhere")
    assert found("Nuke").state == GOOD
    assert found("Blender").state == OPTIONAL


def test_a_host_where_installers_put_it_and_its_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "hython").touch(mode=0o755)
    (tmp_path / "Nuke16.0").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HFS", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("KPCN_PYTHON", raising=False)
    assert found("Houdini").text == str(tmp_path / "bin" / "hython")
    assert "kpcn install nuke" in found("Nuke plug-in").mend
    for change in install.changes("nuke"):
        change.apply()
    assert found("Nuke plug-in") == Finding("Nuke plug-in", GOOD, "installed for this Python")


@pytest.mark.parametrize("form", ["Kernel Module  ", "Open Kernel Module for x86_64  "])
def test_the_drivers_version_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    (tmp_path / "version").write_text(f"NVRM version: NVIDIA UNIX {form}580.65.06  Release\n")
    monkeypatch.setattr(doctor, "DRIVER", tmp_path / "version")
    assert found("GPU driver").text == "NVIDIA 580.65.06"


def test_an_llvm_that_is_too_old_or_missing_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mitsuba")
    assert found("LLVM").state == GOOD
    monkeypatch.setenv("DRJIT_LIBLLVM_PATH", "libc.so.6")  # has no LLVMGetVersion, as LLVM 15
    assert "too old" in found("LLVM").text
    monkeypatch.delenv("DRJIT_LIBLLVM_PATH")
    monkeypatch.setattr(doctor, "use_bundled_llvm", lambda: None)
    monkeypatch.setattr(doctor, "find_library", lambda _: None)
    assert "pip install 'kpcn[mitsuba]'" in found("LLVM").mend


def test_a_check_that_breaks_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def _torch() -> Iterator[Finding]:
        raise OSError("libtorch.so is gone")
        yield

    monkeypatch.setattr(doctor, "CHECKS", (_torch, doctor._worker))
    first, second = doctor.findings()
    assert first == Finding("torch", BAD, "OSError: libtorch.so is gone", "Install kpcn again.")
    assert second.name == "hosts' Python"


def test_a_config_that_names_no_python_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KPCN_PYTHON", str(tmp_path / "gone"))
    assert found("hosts' Python").state == BAD


def test_without_torch_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "kpcn_core.doctor")
    monkeypatch.setitem(sys.modules, "torch", None)
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 1
    assert "cannot be imported" in result.output
