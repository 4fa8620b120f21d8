"""Generated worlds: the causal graph is known, and the official layouts are written, to be read back by `dataset`."""
