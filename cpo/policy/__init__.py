"""Backbone and LoRA, log-probs, the frozen reference, generation and scoring. Model classes are named here alone."""
