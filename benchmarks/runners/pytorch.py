"""PyTorch: eager with fused optimizers, and compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy, relu

from runners.common import (
    BETA1,
    BETA2,
    EPSILON,
    LEARNING_RATES,
    MOMENTUM,
    RHO,
    Cell,
    LoopRunner,
    initial_weights,
    read_data,
    thread_counts,
)


def make_model(cell: Cell) -> Any:
    """Return Linear and ReLU in turns, with everybody's initial weights."""
    layers: list[Any] = []
    for i, o in cell.sizes(784, 10):
        layers += [nn.Linear(i, o), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    with torch.no_grad():
        for p, w in zip(model.parameters(), initial_weights(cell), strict=True):
            p.copy_(torch.from_numpy(w.T if w.ndim == 2 else w))
    return model


def make_optimizer(name: str, parameters: Any) -> Any:
    """Return the optimizer; fused where PyTorch has that on a CPU, foreach for RMSprop."""
    lr = LEARNING_RATES[name]
    if name == "adagrad":
        return torch.optim.Adagrad(parameters, lr, eps=EPSILON, fused=True)
    if name == "rmsprop":
        return torch.optim.RMSprop(parameters, lr, alpha=RHO, eps=EPSILON, foreach=True)
    if name == "adam":
        return torch.optim.Adam(parameters, lr, betas=(BETA1, BETA2), eps=EPSILON, fused=True)
    return torch.optim.SGD(parameters, lr, momentum=MOMENTUM if name == "momentum" else 0.0, fused=True)


class Eager(LoopRunner):
    """The loop of the tutorials with what makes it fast: tensors in memory, fused optimizers, the best thread count."""

    title = "PyTorch eager"
    chooses_threads = True

    def __init__(self) -> None:
        x, labels = read_data()
        self.x, self.y = torch.from_numpy(x), torch.from_numpy(labels)

    def versions(self) -> dict[str, str]:
        """Return PyTorch's."""
        return {"torch": torch.__version__}

    def prepare(self, cell: Cell) -> None:
        """Make the model and take a step."""
        self.steps = self._loop(cell, self._make_step(cell))
        self.run(0.0)

    def use_threads(self, count: int) -> None:
        """Give PyTorch so many threads."""
        torch.set_num_threads(count)

    def _make_step(self, cell: Cell) -> Callable[[Any, Any], None]:
        model = make_model(cell)
        optimizer = make_optimizer(cell.optimizer, model.parameters())

        def step(x: Any, y: Any) -> None:
            loss = cross_entropy(model(x), y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

        return step

    def _loop(self, cell: Cell, step: Callable[[Any, Any], None]) -> Iterator[int]:
        n = len(self.x)
        while True:
            if cell.batch == 0:
                step(self.x, self.y)
                yield 1
                continue
            order = torch.randperm(n)
            for start in range(0, n - cell.batch + 1, cell.batch):
                index = order[start : start + cell.batch]
                step(self.x[index], self.y[index])
                yield 1


class Compiled(Eager):
    """The whole step as one compiled graph: gathering, forward, loss, backward and update.

    `torch.compile` around the eager step is slower, often than the eager step itself: it breaks at `backward`.
    """

    title = "PyTorch compiled"

    def prepare(self, cell: Cell) -> None:
        """Compile, for each number of threads."""
        torch._dynamo.reset()
        self.steps = self._gathering_loop(cell, compile_step(cell))
        for count in thread_counts():
            self.use_threads(count)
            self.run(0.0)

    def _gathering_loop(self, cell: Cell, step: Callable[[Any, Any, Any], None]) -> Iterator[int]:
        n = len(self.x)
        while True:
            if cell.batch == 0:
                step(self.x, self.y, None)
                yield 1
                continue
            order = torch.randperm(n)
            for start in range(0, n - cell.batch + 1, cell.batch):
                step(self.x, self.y, order[start : start + cell.batch])
                yield 1


def compile_step(cell: Cell) -> Callable[[Any, Any, Any], None]:
    """Return one training step as a compiled function of all images, all labels and the places of the batch."""
    params = [torch.from_numpy(w) for w in initial_weights(cell)]
    m, v = ([torch.zeros_like(p) for p in params] for _ in range(2))
    t, lr = torch.zeros(()), LEARNING_RATES[cell.optimizer]

    def loss(params: list[Any], x: Any, y: Any) -> Any:
        for i in range(0, len(params) - 2, 2):
            x = relu(x @ params[i] + params[i + 1])
        return cross_entropy(x @ params[-2] + params[-1], y)

    def step(x: Any, y: Any, index: Any) -> None:
        if index is not None:
            x, y = x[index], y[index]
        grads = torch.func.grad(loss)(params, x, y)
        t.add_(1)
        for i, g in enumerate(grads):
            if cell.optimizer == "sgd":
                params[i].sub_(lr * g)
            elif cell.optimizer == "momentum":
                v[i].mul_(MOMENTUM).add_(g)
                params[i].sub_(lr * v[i])
            elif cell.optimizer == "adagrad":
                v[i].add_(g * g)
                params[i].sub_(lr * g / (v[i].sqrt() + EPSILON))
            elif cell.optimizer == "rmsprop":
                v[i].mul_(RHO).add_((1 - RHO) * g * g)
                params[i].sub_(lr * g / (v[i].sqrt() + EPSILON))
            else:
                m[i].mul_(BETA1).add_((1 - BETA1) * g)
                v[i].mul_(BETA2).add_((1 - BETA2) * g * g)
                params[i].sub_(lr * (m[i] / (1 - BETA1**t)) / ((v[i] / (1 - BETA2**t)).sqrt() + EPSILON))

    compiled: Callable[[Any, Any, Any], None] = torch.compile(step, fullgraph=True, dynamic=False)
    return compiled
