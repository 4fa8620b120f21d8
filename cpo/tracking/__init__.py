"""Where metrics go: `metrics.jsonl` in the run directory, and views of it elsewhere."""
