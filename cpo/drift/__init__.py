"""Drift: a schedule says when the concept changes, shifts say what changes; together they make a stream of samples."""
