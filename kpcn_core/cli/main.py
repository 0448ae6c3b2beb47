"""`kpcn`: finds the command's module, runs it, and prints our errors for a person."""

import signal
import sys
import threading
from importlib import import_module

import click

from kpcn_core import __version__
from kpcn_core.allocation import reuse_memory
from kpcn_core.errors import KpcnError

# command -> (module that defines it, its line on the first page); a module is imported when used
COMMANDS = {
    "demo": ("kpcn_core.cli.demo", "Denoise the shipped sequence and show it before and after."),
    "denoise": ("kpcn_core.cli.denoise", "Denoise a frame or a sequence of EXR files."),
    "inspect": ("kpcn_core.cli.inspect", "Show what an EXR holds and how it maps to AOVs."),
    "timeline": ("kpcn_core.cli.timeline", "Denoise the EXR media of an edit (OpenTimelineIO)."),
    "farm": ("kpcn_core.cli.farm", "Write a sequence as a job for a farm (Open Job Description)."),
    "merge": ("kpcn_core.cli.merge", "Merge renders by other samples, which adds variances."),
    "flow": ("kpcn_core.cli.flow", "Estimate the motion of a sequence and write it."),
    "denoise_batch": ("kpcn_core.cli.denoise_batch", "Stand in for RenderMan's denoise_batch."),
    "compare": ("kpcn_core.cli.compare", "Measure images against a reference."),
    "models": ("kpcn_core.cli.models", "List the networks that ship, and how they were trained."),
    "render": ("kpcn_core.cli.render", "Render a Mitsuba scene with every AOV."),
    "adaptive": ("kpcn_core.cli.adaptive", "Render, with samples where the denoised image errs."),
    "bench": ("kpcn_core.cli.bench", "Time every stage of a frame on this machine."),
    "doctor": ("kpcn_core.cli.doctor", "Say what works here, what is missing, how to mend it."),
    "install": ("kpcn_core.cli.install", "Make Nuke find its plugin, and the plugin this Python."),
    "export": ("kpcn_core.cli.export", "Write the network for Nuke's Inference or Houdini's ONNX."),
    "worker": ("kpcn_core.cli.worker", "Serve Nuke, Houdini or Blender; they start it."),
}


class LazyGroup(click.Group):
    """Imports a command's module only when it runs, so that `kpcn --help` is instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of the command and return the click command of the same name."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(COMMANDS[cmd_name][0])
        command = getattr(module, cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Turn our errors into one message on stderr and exit code 1."""
        try:
            return super().invoke(ctx)
        except KpcnError as error:
            raise click.ClickException(str(error)) from error


def end_cleanly() -> None:
    """When a farm or a shell asks us to stop, leave no half-written file and no claim behind."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kpcn")
def main() -> None:
    """Denoise rendered images and sequences by predicted kernels.

    \b
    Example:
      kpcn denoise "shot.####.exr" -o "clean.####.exr"
    """
    reuse_memory()
    end_cleanly()
