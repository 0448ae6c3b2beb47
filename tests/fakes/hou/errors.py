"""Houdini's errors."""


class Error(Exception):
    pass


class OperationFailed(Error):
    pass


class NodeError(Error):
    pass
