"""Pairing: which counterfactuals are rejected against the chosen trajectory, and when in the stream."""
