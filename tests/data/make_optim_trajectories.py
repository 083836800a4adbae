"""Write optim_trajectories.npz, what tests/test_optim.py and tests/test_schedules.py compare with.

Run with torch 2.13.0 (CPU) and NumPy; the tests themselves need neither torch nor this script::

    python tests/data/make_optim_trajectories.py

Every case walks the same recorded gradients, in float64. Where PyTorch has the rule, PyTorch walks. Where it
has not, sums over the whole past, by math.fsum, say where the walk must be; they keep no state from step to
step, so they share no formula with a rule in place.
"""

import functools
import json
import math
import pathlib
from fractions import Fraction

import numpy as np
import torch
from torch.optim import SGD, Adagrad, Adam, RMSprop
from torch.optim.lr_scheduler import OneCycleLR

STEPS, P = 240, 60
STORED = [1, 2, 3, 4, 5, 7, 10, 14, 20, 28, 40, 57, 80, 100, 113, 140, 160, 180, 200, 220, 240]  # steps done


def gradients(rng: np.random.Generator) -> np.ndarray:
    """Signs that change, magnitudes 1e-8 to 1e3 by column and by step, and four kinds of exact zeros."""
    magnitude = 10.0 ** np.linspace(-8, 3, P)[rng.permutation(P)]
    g = magnitude * rng.standard_normal((STEPS, P)) * 10.0 ** rng.uniform(-1, 0, (STEPS, P))
    g[:, 10:20] += 0.5 * magnitude[10:20]  # some with a drift
    g[rng.random((STEPS, P)) < 0.1] = 0.0  # now and then
    g[:, 0] = 0.0  # always
    g[:90, 1] = 0.0  # at first
    g[30:, 2] = 0.0  # at last
    g[:, 3] = np.where(np.arange(STEPS) % 40 == 39, g[:, 3], 0.0)  # mostly
    return np.clip(g, -1e3, 1e3)


def torch_walk(kind, theta0, grads, rates, zero_first=False, **options) -> np.ndarray:
    """Walk with an optimizer of torch.optim, after one step with a gradient of zero if `zero_first`."""
    theta = torch.nn.Parameter(torch.from_numpy(theta0.copy()))
    optimizer = kind([theta], lr=1.0, **options)
    if zero_first:
        theta.grad = torch.zeros_like(theta)
        optimizer.step()
    walk = np.empty((STEPS, P))
    for k, (g, rate) in enumerate(zip(grads, rates, strict=True)):
        optimizer.param_groups[0]["lr"] = float(rate)
        theta.grad = torch.from_numpy(g.copy())
        optimizer.step()
        walk[k] = theta.detach().numpy()
    return walk[[k - 1 for k in STORED]]


def classical_walk(theta0, grads, rates, momentum) -> np.ndarray:
    """Unrolled: after step t the kick lr_i g_i has moved theta by itself times 1 + mu + ... + mu^(t-i)."""
    mu = Fraction(momentum)
    reach = [float((1 - mu**n) / (1 - mu)) for n in range(STEPS + 1)]
    kicks = (rates[:, None] * grads).tolist()
    rows = []
    for t in STORED:
        moves = ([-kicks[i][j] * reach[t - i] for i in range(t)] for j in range(P))
        rows.append([math.fsum([start, *column]) for start, column in zip(theta0, moves, strict=True)])
    return np.array(rows)


def rmsprop_in_root_walk(theta0, grads, rates, rho, epsilon) -> np.ndarray:
    """Unrolled: theta is the sum of its steps, and v at each the weighted sum of all squares so far."""
    walk = []
    for j in range(P):
        g = [float(x) for x in grads[:, j]]
        moves = []
        for t in range(STEPS):
            v = math.fsum((1 - rho) * rho ** (t - i) * g[i] ** 2 for i in range(t + 1))
            moves.append(-float(rates[t]) * g[t] / math.sqrt(v + epsilon))
        walk.append([math.fsum([theta0[j], *moves[:t]]) for t in STORED])
    return np.array(walk).T


def main() -> None:
    rng = np.random.default_rng(20240607)
    grads = gradients(rng)
    theta0 = rng.uniform(-1, 1, P)
    varying = 10.0 ** rng.uniform(-1, 0.3, STEPS)  # factors between 0.1 and 2, in no order
    arrays = {"gradients": grads, "theta0": theta0, "stored": np.array(STORED), "varying": varying}
    cases = {}

    def case(name, rule, rate, walk, **arguments):
        for suffix, rates in (("constant", np.full(STEPS, rate)), ("varying", rate * varying)):
            cases[f"{name}/{suffix}"] = {"rule": rule, "rate": rate, "arguments": arguments}
            arrays[f"theta/{name}/{suffix}"] = walk(theta0, grads, rates)

    def by_torch(kind, **options):
        return functools.partial(torch_walk, kind, **options)

    case("sgd", "sgd", 0.037, by_torch(SGD))
    for mu in (0.6, 0.95):
        walk = by_torch(SGD, momentum=mu)
        case(f"momentum-sum/{mu}", "momentum", 0.021, walk, momentum=mu, form="sum")
        # PyTorch's first buffer is the raw gradient; if that is zero, the buffer is a mean from 0 on.
        walk = by_torch(SGD, momentum=mu, dampening=mu, zero_first=True)
        case(f"momentum-mean/{mu}", "momentum", 0.033, walk, momentum=mu, form="mean")
        walk = functools.partial(classical_walk, momentum=mu)
        case(f"momentum-classical/{mu}", "momentum", 0.013, walk, momentum=mu, form="classical")
    for epsilon, initial in ((1e-3, 0.0), (1e-6, 0.3)):
        walk = by_torch(Adagrad, eps=epsilon, initial_accumulator_value=initial)
        case(f"adagrad/{epsilon}", "adagrad", 0.4, walk, epsilon=epsilon, initial_accumulator=initial)
    for rho, epsilon in ((0.97, 1e-3), (0.5, 1e-6)):
        settings = {"rho": rho, "epsilon": epsilon}
        case(f"rmsprop/{rho}", "rmsprop", 0.02, by_torch(RMSprop, alpha=rho, eps=epsilon), **settings)
        walk = functools.partial(rmsprop_in_root_walk, **settings)
        case(f"rmsprop-in-root/{rho}", "rmsprop", 0.02, walk, **settings, epsilon_in_root=True)
    for beta1, beta2, epsilon in ((0.8, 0.99, 1e-3), (0.95, 0.9, 1e-6), (0.0, 0.9995, 1e-4)):
        walk = by_torch(Adam, betas=(beta1, beta2), eps=epsilon)
        case(f"adam/{beta1}", "adam", 0.03, walk, beta1=beta1, beta2=beta2, epsilon=epsilon)

    one_cycles = {}
    for name, steps, peak, fraction, initial, final in (
        ("defaults", 100, 0.1, 0.3, 1 / 25, 1e-4),
        ("between", 77, 3.0, 0.43, 0.1, 1e-2),
        ("short", 5, 0.5, 0.4, 0.5, 1e-3),
    ):
        optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        schedule = OneCycleLR(
            optimizer,
            max_lr=peak,
            total_steps=steps,
            pct_start=fraction,
            cycle_momentum=False,
            div_factor=1 / initial,
            final_div_factor=initial / final,
        )
        rates = [schedule.get_last_lr()[0]]
        for _ in range(steps - 1):
            optimizer.step()
            schedule.step()
            rates.append(schedule.get_last_lr()[0])
        one_cycles[name] = {
            "learning_rate": peak,
            "steps": steps,
            "warmup_fraction": fraction,
            "initial_factor": initial,
            "final_factor": final,
        }
        arrays[f"one_cycle/{name}"] = np.array(rates)

    about = {"torch": torch.__version__, "numpy": np.__version__, "cases": cases, "one_cycle": one_cycles}
    arrays["about"] = np.array(json.dumps(about))
    np.savez_compressed(pathlib.Path(__file__).with_name("optim_trajectories.npz"), **arrays)


if __name__ == "__main__":
    main()
