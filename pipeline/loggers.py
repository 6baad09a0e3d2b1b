"""A training's learning curve told to TensorBoard, MLflow or Weights & Biases as well.

The lines of metrics.jsonl are the record; a logger is told the numbers of each as it is written.
It is no part of a study, and its package is imported when it is asked for.

    tensorboard   root/logs/<name>                      tensorboard --logdir root/logs
    mlflow        experiment "pushforward", run <name>  where MLFLOW_TRACKING_URI says
    wandb         project "pushforward", run <name>     as `wandb login` has it; WANDB_MODE=offline
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Literal

from pushforward import bands
from pushforward.mistakes import unknown
from pushforward.places import Place
from pushforward.spec import Training

Name = Literal["tensorboard", "mlflow", "wandb"]
Tell = Callable[[Mapping[str, Any]], None]
PACKAGES = {  # what is installed for it, and imported
    "tensorboard": ("tensorboard", "torch.utils.tensorboard"),
    "mlflow": ("mlflow", "mlflow"),
    "wandb": ("wandb", "wandb"),
}
PROJECT = "pushforward"


def package(name: str) -> Any:
    """The module of a logger.

    Raises ValueError for a name that is none, LookupError where it is not installed.

    >>> package("excel")
    Traceback (most recent call last):
    ValueError: expected one of mlflow, tensorboard, wandb, got excel; ...
    """
    if name not in PACKAGES:
        raise ValueError(unknown(name, PACKAGES))
    installed, module = PACKAGES[name]
    try:
        return import_module(module)
    except ImportError as error:
        raise LookupError(
            f"expected the package {installed} to log to {name}, got none ({error}); run `pip "
            f"install {installed}` or leave the logger out"
        ) from None


@contextmanager
def telling(name: str | None, training: Training, root: Place, step: int) -> Iterator[Tell]:
    """Tells lines of a training's curve to a logger (None: to nobody), from a step on.

    Raises as `package` does; what a logger raises while it runs ends the training at its last
    checkpoint.
    """
    if name is None:
        yield lambda line: None
        return
    tell, close = OPENERS[name](package(name), training, root, step)
    try:
        yield tell
    finally:
        close()


def numbers(line: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a line of the curve by name, those by band under the band's.

    >>> numbers({"step": 4, "loss": 0.5, "loss_by_level": [None, 1.0, 0.5, 0.5, 0.25]})
    {'loss': 0.5, 'loss_by_level/-12 to -8': 1.0, 'loss_by_level/-8 to -4': 0.5, ...}
    """
    found = {}
    for key, value in line.items():
        if key == "loss_by_level":
            pairs = zip(bands.names(), value, strict=True)
            found |= {f"{key}/{band}": one for band, one in pairs if one is not None}
        elif key != "step" and isinstance(value, (int, float)):
            found[key] = float(value)
    return found


def _tensorboard(module: Any, training: Training, root: Place, step: int) -> tuple[Tell, Any]:
    # beside the results, of which a log is no part; lines that are written again are purged
    writer = module.SummaryWriter(str(root / "logs" / training.name), purge_step=step + 1)

    def tell(line: Mapping[str, Any]) -> None:
        for key, value in numbers(line).items():
            writer.add_scalar(key, value, line["step"])

    return tell, writer.close


def _mlflow(module: Any, training: Training, root: Place, step: int) -> tuple[Tell, Any]:
    module.set_experiment(PROJECT)
    module.start_run(run_name=training.name)
    module.log_dict(training.model_dump(mode="json"), "training.json")

    def tell(line: Mapping[str, Any]) -> None:
        module.log_metrics(numbers(line), step=line["step"])

    return tell, module.end_run


def _wandb(module: Any, training: Training, root: Place, step: int) -> tuple[Tell, Any]:
    config = training.model_dump(mode="json")
    about: dict[str, Any] = {"project": PROJECT, "name": training.name, "id": training.name}
    run = module.init(**about, resume="allow", config=config)

    def tell(line: Mapping[str, Any]) -> None:
        run.log(numbers(line), step=line["step"])

    return tell, run.finish


OPENERS = {"tensorboard": _tensorboard, "mlflow": _mlflow, "wandb": _wandb}
