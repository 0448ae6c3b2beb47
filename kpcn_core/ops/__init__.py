"""Tensor operators of the paper, each with a readable torch form. No I/O."""
