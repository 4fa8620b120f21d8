"""What holds for every test: no network, no accounts, nothing written outside pytest's temporary directories.

Markers are declared in `pyproject.toml`; `slow`, `gpu`, `browser` and `peer` run only when asked for, as in
`pytest -m slow`.
"""

from __future__ import annotations

import os
import tempfile

# Libraries read these when they are first imported, which is earlier than any fixture runs.
_home = tempfile.TemporaryDirectory(prefix="cpo-tests-")
os.environ.update(
    HF_HOME=f"{_home.name}/huggingface",
    HF_HUB_OFFLINE="1",
    TRANSFORMERS_OFFLINE="1",
    WANDB_MODE="offline",
    WANDB_SILENT="true",
    WANDB_DIR=_home.name,
    WANDB_CACHE_DIR=f"{_home.name}/wandb",
    WANDB_CONFIG_DIR=f"{_home.name}/wandb",
    WANDB_DATA_DIR=f"{_home.name}/wandb",
    TOKENIZERS_PARALLELISM="false",
)
for _name in ("WANDB_API_KEY", "WANDB_RUN_ID", "WANDB_PROJECT", "WANDB_ENTITY", "HF_TOKEN"):
    os.environ.pop(_name, None)
# Tensors in tests are tiny: a second thread costs more than it brings, and tests may run side by side.
os.environ.setdefault("OMP_NUM_THREADS", "1")

pytest_plugins = ["tests.fixtures.tiny"]
