"""When the loop ends, and how large its next pass is."""

from dataclasses import dataclass

from kpcn_core.adaptive.state import State


@dataclass(frozen=True)
class Limits:
    """The first limit that is reached ends the loop.

    Attributes:
        budget: samples per pixel in all, on average.
        target_error: mean of the error map that is good enough; None for no such limit.
        seconds: time in all, passes before a resumption included; None for no such limit.
    """

    budget: int
    target_error: float | None = None
    seconds: float | None = None

    def reached(self, state: State) -> str | None:
        """Which limit ends the loop after a pass: "budget", "target" or "time"; else None."""
        # Less than a sample per pixel, which a renderer may leave that rounds counts, is no pass.
        least = state.pixels
        if self._unspent(state) < least:
            return "budget"
        if self.target_error is not None and state.mean_error <= self.target_error:
            return "target"
        return "time" if self._affordable(state) < least else None

    def next_total(self, state: State) -> int:
        """Samples of the next pass: as many as there are so far (paper §5), within the limits."""
        return int(min(state.total, self._unspent(state), self._affordable(state)))

    def _unspent(self, state: State) -> int:
        return self.budget * state.pixels - state.total

    def _affordable(self, state: State) -> float:
        """How many samples the time left allows, at the pace so far."""
        if self.seconds is None:
            return float("inf")
        return max(0.0, self.seconds - state.seconds) * state.total / state.seconds
