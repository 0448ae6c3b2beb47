"""Optional packages: a failed import becomes what to install. Standard library only."""

from collections.abc import Iterator
from contextlib import contextmanager

from kpcn_core.errors import MissingDependency


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Wrap the imports of packages that belong to one extra of `pyproject.toml`.

    Raises:
        MissingDependency: a package is not installed, or a shared library of it is missing.
    """
    try:
        yield
    except (ImportError, OSError) as error:
        raise MissingDependency(
            f"This needs an optional package that cannot be imported: {error}. "
            f"Install it with: pip install 'kpcn[{name}]'"
        ) from error
