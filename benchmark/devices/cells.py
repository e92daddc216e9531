"""`python -m reshift.benchmark.devices.cells FOLDER RUN`: compute the cells of `FOLDER/study.yaml` in this process."""

from __future__ import annotations

import argparse
from pathlib import Path

from reshift.benchmark.speed.pictures import write_pictures

PICTURES, SIDE = 60, 64

PRESET = """\
description: "The same cells under one setting after another"
datasets: [{{use: manifest, args: {{csv: "{csv}"}}}}]
size: {side}
seeds: [0]
steps: {steps}
batch_size: 8
checks: 2
protocols: [{{use: in_distribution, args: {{folds_used: 2, val: 0.3}}}}]
models:
  - {{use: classifier, args: {{backbone: test_efficientnet, weights: none, lr: 0.003}}}}
  - use: differnet
    args: {{backbone: test_efficientnet, weights: none, stages: [2], scales: [1.0], hidden: 16, blocks: 2}}
  - {{use: logistic_probe, args: &frozen {{backbone: test_efficientnet, weights: none, stages: [2], scales: [1.0]}}}}
  - {{use: gaussian, args: *frozen}}
  - {{use: patchcore, args: {{backbone: test_efficientnet, weights: none, stages: [1, 2]}}}}
"""


def write_study(folder: Path, pictures: int, steps: int) -> None:
    """`folder/study.yaml` and its pictures, of which no model can learn anything: scores lie as close as they can."""
    csv = write_pictures(folder / "pictures", pictures, SIDE)
    text = PRESET.format(csv=csv.resolve(), side=SIDE, steps=steps)
    (folder / "study.yaml").write_text(text, encoding="utf-8")


def main() -> None:
    """Compute the cells into a run folder with the threads and on the device that were given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    # The environment decides which kernels are chosen when torch is loaded: nothing imports it before.
    import torch

    from reshift.benchmark.executor import bundles
    from reshift.benchmark.planning import make_plan
    from reshift.benchmark.preset import load_preset
    from reshift.benchmark.speed.planned_run import check_done
    from reshift.benchmark.worker import Job, run_bundle
    from reshift.results.store import RunStore

    torch.set_num_threads(given.threads)
    preset = load_preset(str(given.folder / "study.yaml"))
    plan, store = make_plan(preset, "study", notes=False), RunStore(given.run)
    store.write_plan(plan)
    job = Job(given.run, preset, given.device, "none")
    for bundle in bundles(plan.cells):
        run_bundle(job, [cell.id for cell in bundle])
        check_done(job, bundle)


if __name__ == "__main__":
    main()
