"""How long a copy of MIMIC-CXR takes to read once and to open afterwards, at shares of its published size.

Usage:
    python -m experiments.bench.dataset_index [--shares 0.01 0.1 1.0] [--json FILE]

Reports and tables of the release's layout and size are invented in a temporary folder (at share 1: 377,110 images in
227,835 studies of 65,379 patients; images are absent and optional). Building and opening run in processes of their own,
so that each has its own peak memory.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from cpo.dataset.mimic_cxr import MimicCXR
from cpo.dataset.mimic_release import LABELS, METADATA

IMAGES, STUDIES, PATIENTS = 377_110, 227_835, 65_379
REPORT = (
    " FINAL REPORT\n EXAMINATION:  CHEST ({view})\n \n FINDINGS:  The heart is {size}. {words}\n \n"
    " IMPRESSION:  As above.\n"
)
WORDS = "There is no pleural effusion or pneumothorax. The mediastinal contours are unremarkable. "


def main() -> None:
    """Measures each share and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.01, 0.1, 1.0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        print(json.dumps(measure(arguments.read)))
        return
    rows = []
    for share in arguments.shares:
        with tempfile.TemporaryDirectory() as scratch:
            root = Path(scratch)
            write_copy(root, share)
            rows.append({"share": share, **{kind: run(root) for kind in ("build", "open")}})
    table = Table("share", "studies", "build s", "build MiB", "open s", "first sample ms", "open MiB", box=None)
    for row in rows:
        build, opened = row["build"], row["open"]
        first = f"{1000 * opened['first_sample_s']:.1f}"
        table.add_row(
            f"{row['share']:.0%}", f"{build['samples']:,}", f"{build['seconds']:.1f}", f"{build['peak_mb']:.0f}",
            f"{opened['seconds']:.3f}", first, f"{opened['peak_mb']:.0f}",
        )  # fmt: skip
    Console().print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": rows}, indent=2) + "\n")


def run(root: Path) -> dict[str, float]:
    """Opens the copy in a fresh process, which reads it if there is no index yet."""
    command = [sys.executable, "-m", "experiments.bench.dataset_index", "--read", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(root: Path) -> dict[str, float]:
    """Seconds to open, seconds to the first sample, samples and peak memory of this process."""
    began = time.perf_counter()
    dataset = MimicCXR(
        name="mimic_cxr", root=str(root), access="credentialed", media="optional", index=str(root / "index")
    )
    samples = dataset.samples("train")
    opened = time.perf_counter()
    _ = samples[len(samples) // 2]
    first = time.perf_counter()
    # of this program alone: ru_maxrss would begin with what the process that started it had
    status = Path("/proc/self/status").read_text().split("VmHWM:")[1]
    peak = int(status.split()[0]) / 1024
    return {
        "seconds": opened - began,
        "first_sample_s": first - opened,
        "samples": dataset.quality().samples,
        "peak_mb": peak,
    }


def write_copy(root: Path, share: float) -> None:
    """Tables and reports of the release's layout, a share of its size."""
    rng = np.random.default_rng(0)
    studies, patients = round(STUDIES * share), round(PATIENTS * share)
    subject = np.sort(rng.integers(patients, size=studies)) + 10_000_000
    images = 1 + (np.arange(studies) < round((IMAGES - STUDIES) * share)).astype(int)
    hexadecimal = rng.bytes(20 * int(images.sum())).hex()
    digits = (hexadecimal[start : start + 40] for start in range(0, len(hexadecimal), 40))
    split, metadata, labels = [], [], []
    for number in range(studies):
        who, study = str(subject[number]), str(50_000_000 + number)
        for view in ("PA", "LATERAL")[: images[number]]:
            name = next(digits)
            dicom = "-".join(name[i : i + 8] for i in range(0, 40, 8))
            split.append([dicom, study, who, "train"])
            metadata.append(
                [dicom, who, study, "CHEST", view, "2544", "3056", "21800506", "213014.531", "", "", "Erect"]
            )
        labels.append([who, study, *("1.0" if state == 0 else "" for state in rng.integers(8, size=len(LABELS)))])
        report = root / "files" / f"p{who[:2]}" / f"p{who}" / f"s{study}.txt"
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(REPORT.format(view="PA", size=number % 7, words=WORDS * 5))
    columns = ["dicom_id", "subject_id", "study_id", METADATA["procedure"], METADATA["view"], "Rows", "Columns"]
    columns += [METADATA["study_date"], METADATA["study_time"], "ProcedureCodeSequence_CodeMeaning"]
    columns += ["ViewCodeSequence_CodeMeaning", METADATA["orientation"]]
    _write(root, "split", ["dicom_id", "study_id", "subject_id", "split"], split)
    _write(root, "metadata", columns, metadata)
    _write(root, "chexpert", ["subject_id", "study_id", *LABELS], labels)


def _write(root: Path, kind: str, header: list[str], rows: list[list[str]]) -> None:
    with gzip.open(root / f"mimic-cxr-2.0.0-{kind}.csv.gz", "wt", newline="", compresslevel=1) as file:
        csv.writer(file).writerows([header, *rows])


if __name__ == "__main__":
    main()
