"""Plots of experiments: small PNG files, drawn by matplotlib (extra "experiments")."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kpcn_core.atomic import replaced
from kpcn_core.extras import extra

SIZE = (4.2, 3.0)  # inches of a panel
RESOLUTION = 110  # pixels an inch

Curve = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """One diagram.

    Attributes:
        title: above it.
        axes: what runs to the right, and what runs upward.
        curves: name to its points.
        logarithmic: which axes are: any of "x" and "y".
        labels: texts beside points.
        ticks: names of 0, 1, 2 … on the axis to the right.
    """

    title: str
    axes: tuple[str, str]
    curves: Mapping[str, Curve]
    logarithmic: str = ""
    labels: Mapping[tuple[float, float], str] = field(default_factory=dict)
    ticks: Sequence[str] = ()


def draw(path: Path, *panels: Panel) -> None:
    """Panels side by side as a PNG file; replaces an older one.

    Raises:
        MissingDependency: matplotlib is not installed.
    """
    with extra("experiments"):
        from matplotlib.figure import Figure
    figure = Figure((SIZE[0] * len(panels), SIZE[1]), RESOLUTION, layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _draw(axes, panel)
    with replaced(path, overwrite=True) as temporary:
        figure.savefig(temporary, format="png")


def _draw(axes: Any, panel: Panel) -> None:
    for name, points in panel.curves.items():
        # Between named places there is nothing that a line could stand for.
        width = 0 if panel.ticks else 1
        axes.plot(*zip(*points, strict=True), marker="o", markersize=3, linewidth=width, label=name)
    for point, text in panel.labels.items():
        axes.annotate(text, point, textcoords="offset points", xytext=(3, 3), fontsize=6)
    for name in panel.logarithmic:
        axis = getattr(axes, f"{name}axis")
        getattr(axes, f"set_{name}scale")("log", subs=(2, 5))
        for ticks in ("major", "minor"):
            getattr(axis, f"set_{ticks}_formatter")("{x:g}")
    if panel.ticks:
        axes.set_xticks(range(len(panel.ticks)), panel.ticks)
    axes.set_title(panel.title, fontsize=9)
    axes.set_xlabel(panel.axes[0], fontsize=8)
    axes.set_ylabel(panel.axes[1], fontsize=8)
    axes.tick_params(which="both", labelsize=7)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
