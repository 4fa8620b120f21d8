"""dataset → drift stream → counterfactuals → preference pairs → policy / reference log-probs → loss → metrics, diagnostics → tracker → report

CPO is Counterfactual Preference Optimization: which folder does what is written in `docs/architecture.md`.
"""

__version__ = "0.1.0"
