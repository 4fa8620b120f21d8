"""Arithmetic on log-probabilities, and nothing else."""
