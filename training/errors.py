"""Errors of training that a person caused and can mend; printed as `KpcnError` is."""

from kpcn_core.errors import KpcnError


class InvalidDataset(KpcnError):
    """A data set is missing, damaged, or was made in another way than asked for."""


class UnsuitableScene(KpcnError):
    """A scene that nothing can be learned from."""


class InvalidConfig(KpcnError):
    """A training configuration has an unknown key or a value that cannot be used."""


class TrainingDiverged(KpcnError):
    """The loss is no longer finite."""
