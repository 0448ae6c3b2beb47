"""Renderers that can be asked for samples. Each is imported only in its own adapter."""
