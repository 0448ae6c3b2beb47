"""Benchmarks: each prints a table and writes JSON with its provenance."""
