"""Fitting: a training driven to its end, with those who follow it, from its beginning or from a checkpoint."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import Any, Literal

from glassnet.checkpoints import load_or_last, restore
from glassnet.data import DataSet
from glassnet.losses import Loss
from glassnet.network import Network
from glassnet.optim import Adam
from glassnet.optimizer import Optimizer
from glassnet.training import Listener, Result, Training


def fit(
    network: Network,
    data: DataSet,
    optimizer: Optimizer | None = None,
    loss: Loss | None = None,
    *,
    batch_size: int | str = 100,
    epochs: int = 5,
    max_steps: int | None = None,
    shuffle: bool = True,
    validate: bool = True,
    seed: int = 0,
    frozen: Sequence[str] = (),
    class_weights: Literal["balanced"] | Sequence[float] | None = None,
    workers: int = 1,
    threads: int | None = None,
    listeners: Iterable[Listener] = (),
    resume: str | os.PathLike[str] | None = None,
) -> Result:
    """Train a network on the training split of `data`, in place.

    Parameters
    ----------
    network, data, optimizer, loss, batch_size, epochs, max_steps, shuffle, validate, seed, frozen, class_weights,
        workers, threads
        See `Training`.
    listeners : told of every event, in this order
    resume : a checkpoint, or a folder of them, whose newest whole one is taken
        Where to go on, in the bits of a run that was never interrupted. All else must be as it was then: the
        arguments, the data, and the listeners that have a state, see `Checkpoints`

    Returns
    -------
    Result
        With the model and the history.

    Raises
    ------
    ConfigError
        If something does not fit together; nothing has changed then.
    DivergedError
        At a NaN or an infinity, see `Training.events`.
    CheckpointError, MissingFileError
        If there is no whole checkpoint to go on from, or it is of another run; the error names what differs.

    Examples
    --------
    >>> import numpy as np
    >>> from glassnet.data import from_arrays
    >>> from glassnet.layers import Dense, Softmax
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(300, 2))
    >>> data = from_arrays(x, (x[:, 0] > x[:, 1]).astype(int))
    >>> result = fit(Network([Dense(2), Softmax()], 2), data, Adam(0.1), batch_size=10, epochs=20)
    >>> result.history["validation_accuracy"][-1] > 0.9
    True
    """
    run = Training(
        network,
        data,
        optimizer or Adam(),
        loss,
        batch_size=batch_size,
        epochs=epochs,
        max_steps=max_steps,
        shuffle=shuffle,
        validate=validate,
        seed=seed,
        frozen=frozen,
        class_weights=class_weights,
        workers=workers,
        threads=threads,
    )
    return follow(run, listeners, None if resume is None else load_or_last(resume))


def follow(run: Training, listeners: Iterable[Listener], saved: Mapping[str, Any] | None = None) -> Result:
    """Drive a `Training` to its end, telling the listeners; what `fit` does with the run it makes.

    Parameters
    ----------
    run : that has not begun
    listeners : told of every event in this order, but for those that come `last`
    saved : a checkpoint to go on from, see `load_checkpoint`
    """
    run.listeners = sorted(listeners, key=lambda listener: listener.last)
    if saved is not None:
        restore(run, saved)
    with ExitStack() as stack:
        for listener in run.listeners:
            stack.callback(listener.close)
        for event in stack.enter_context(closing(run.events())):
            for listener in run.listeners:
                listener.notify(event, run)
    return run.result()
