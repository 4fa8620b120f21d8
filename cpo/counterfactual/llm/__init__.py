"""Asking a language model: the instruction, the endpoint, the journal of finished requests, and what came back."""
