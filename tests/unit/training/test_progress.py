from __future__ import annotations

from io import StringIO

from rich.console import Console
from rich.progress import Progress

from cpo.training.progress import PairsPerSecond


def test_speed_is_in_pairs_not_in_batches() -> None:
    now = [0.0]
    progress = Progress(PairsPerSecond(8), console=Console(file=StringIO()), get_time=lambda: now[0])
    progress.add_task("", total=10)
    (task,) = progress.tasks
    for second in (1.0, 2.0, 3.0):
        now[0] = second
        progress.update(task.id, advance=2)
    assert PairsPerSecond(8).render(task).plain == "16.0 pairs/s"


def test_before_the_first_batch_there_is_no_speed() -> None:
    progress = Progress(console=Console(file=StringIO()))
    progress.add_task("", total=10)
    (task,) = progress.tasks
    assert PairsPerSecond(8).render(task).plain == ""
