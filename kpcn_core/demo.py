"""The shipped sequence, denoised and shown before and after."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from kpcn_core import exr, oidn, provenance, report
from kpcn_core.atomic import check_writable, replaced
from kpcn_core.comparison import Comparison, Entry, measured
from kpcn_core.comparison_images import timed
from kpcn_core.denoiser import Denoiser
from kpcn_core.errors import MissingFrames
from kpcn_core.frame import Frame

# Beside the package in a checkout; an installed package has none.
EXAMPLES = Path(__file__).parent.parent / "examples"
NOISY, CLEAN, REFERENCE = "noisy.", "denoised.", "reference."
PAGE = "index.html"

Step = Callable[[str], None]  # says what was finished


class Demo:
    """A folder of examples on its way to a folder of results.

    Args:
        examples: holds noisy.####.exr, and reference.####.exr for some of them.
        output: gets denoised.####.exr and index.html.
        overwrite: replace what is there.

    Raises:
        MissingFrames: there are no examples.
        UnwritableFile: a result cannot be written.
    """

    def __init__(self, examples: Path, output: Path, overwrite: bool = False) -> None:
        self.noisy = sorted(examples.glob(f"{NOISY}*.exr"))
        if not self.noisy:
            raise MissingFrames(
                f"{examples}: expected the example sequence {NOISY}####.exr; found none. It comes "
                f"with a checkout of kpcn, not with the installed package: give the folder with "
                f"--examples DIR."
            )
        self.output, self.overwrite = output, overwrite
        for path in (output / PAGE, *map(self._target, self.noisy)):
            check_writable(path, overwrite)

    def run(self, model: str, device: str, step: Step) -> Path:
        """Denoise every frame, then write the page.

        Args:
            model: as `Denoiser.load`.
            device: as `Denoiser.load`.
            step: called after each file with its name.

        Returns:
            The page.
        """
        denoiser = Denoiser.load(model, device)
        found = list(self._comparisons(denoiser, step))
        origin = provenance.collect(denoiser.device)
        origin["weights"] = provenance.weights_name(model)
        text = report.page("kpcn demo", found, origin)
        page = self.output / PAGE
        with replaced(page, self.overwrite) as temporary:
            temporary.write_text(text, encoding="utf-8")
        step(str(page))
        return page

    def _comparisons(self, denoiser: Denoiser, step: Step) -> Iterator[Comparison]:
        """One a frame, in order; the denoised file is written on the way."""
        for path in self.noisy:
            frame = exr.read(path)
            clean, seconds = timed(partial(denoiser.denoise, frame))
            exr.write(self._target(path), clean, ("color",), overwrite=self.overwrite)
            step(str(self._target(path)))
            reference = path.with_name(path.name.replace(NOISY, REFERENCE, 1))
            if reference.is_file():
                yield _against(path.name, exr.read(reference), frame, clean, seconds)
            else:
                pair = (Entry("noisy", frame["color"]), Entry("kpcn", clean["color"]))
                yield Comparison(path.name, pair)

    def _target(self, noisy: Path) -> Path:
        return self.output / noisy.name.replace(NOISY, CLEAN, 1)


def _against(
    title: str, reference: Frame, noisy: Frame, clean: Frame, seconds: float
) -> Comparison:
    """The frame with its metrics, and Open Image Denoise beside ours if it is installed."""
    expected = reference["color"]
    entries = [
        measured("noisy", noisy["color"], expected),
        measured("kpcn", clean["color"], expected, seconds),
    ]
    if oidn.installed():
        oidn.denoise(noisy)  # the first call loads its network; ours is loaded already
        theirs, seconds = timed(partial(oidn.denoise, noisy))
        entries.append(measured("OIDN", theirs["color"], expected, seconds))
    return Comparison(title, entries, expected)
