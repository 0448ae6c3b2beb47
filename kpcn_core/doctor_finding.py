"""A line of the doctor's report."""

from typing import NamedTuple

GOOD, OPTIONAL, BAD = "ok", "--", "BAD"


class Finding(NamedTuple):
    """One line of the report.

    Attributes:
        name: what was looked at.
        state: `GOOD`, `OPTIONAL` for what is missing and need not be there, or `BAD`.
        text: what was found.
        mend: what to do; empty if there is nothing to do.
    """

    name: str
    state: str
    text: str
    mend: str = ""
