"""Benchmarks: one file each, joining scoring and generation with metrics."""
