"""Ten steps of every stage in float64, alone or as one of several processes: `shared_batches.py FILE chain | residual`.

The first process writes the parameters and buffers that they ended with, by stage.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from networks import listed, residual_graph

from lrnet import distributed
from lrnet.job import Job, Settings, open_job
from lrnet.run import read_run, to_run
from lrnet.stages import Stage, build, plan
from lrnet.train import batches, descend

RUN = Path(__file__).parent.parent / "runs" / "digits.toml"
STEPS = 10
OVERRIDES = [
    "batch=64",
    "freezing.candidates=3",
    "freezing.epochs=1",
    "freezing.images=200",
    "objective.label_smoothing=0.1",
    "objective.mixup=0.3",
]


def main(path: Path, graph: str) -> None:
    torch.set_num_threads(1)
    _, table = read_run(RUN, OVERRIDES)
    if graph == "residual":
        table["graph"] = listed(residual_graph(widths=(8, 8), convolutions=1, classes=10))
    run = to_run(table)
    settings = Settings(torch.device("cpu"), quiet=True)
    with distributed.processes(settings.device):
        job = open_job(run, path.parent, path.parent / "log.jsonl", None, settings)
        ended = {}
        stage: Stage | None = None
        for index, step in enumerate(plan(run)):
            torch.manual_seed(index)
            # A layer is chosen and measured in float32, as in any training.
            stage = build(job, step, None if stage is None else stage.network.float())
            distributed.share(stage.network)
            _train(job, stage, seed=index, taught=step.kind != "twin")
            ended[step.name] = {name: value.clone() for name, value in stage.network.state_dict().items()}
        if distributed.rank() == 0:
            torch.save(ended, path)


def _train(job: Job, stage: Stage, seed: int, *, taught: bool) -> None:
    stage.network.double().train()
    optimizer = torch.optim.AdamW(stage.groups, lr=0.01)
    for step, (images, labels) in enumerate(batches(job)):
        if step == STEPS:
            break
        descend(job, stage, optimizer, images.double(), labels, seed, step, taught=taught)
        stage.after_step(step, step / STEPS)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
