"""Reference values of the methods that peft lacks, from their published formulas in NumPy alone.

``python tests/unit/reference/adapter_values.py`` writes ``adapter_values.json`` beside this file; the tests compare
the layers with it, and it with what this script gives now. Gradients of ``sum(output ** 2)`` are central
differences in float64, so that they share nothing with the automatic ones.
"""

import json
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_suffix(".json")
ROWS, IN, OUT, INNER, RANK, STEP = 5, 6, 4, 3, 2, 1e-6


def grid(shape, offset):
    """Return smooth numbers of a shape, alike on every machine and in every version of NumPy."""
    return np.round(np.sin(np.arange(np.prod(shape)) * 0.7 + offset), 3).reshape(shape)


def orthonormal(rows, width, offset):
    """Return a matrix of orthonormal rows by Gram and Schmidt."""
    basis = []
    for row in grid((rows, width), offset):
        for known in basis:
            row = row - (row @ known) * known
        basis.append(row / np.sqrt(row @ row))
    return np.array(basis)


INPUTS = {"x": grid((ROWS, IN), 0.1), "W": grid((OUT, IN), 0.2), "b": grid((OUT,), 0.3)}
SERIES = {"down": grid((INNER, OUT), 0.4), "up": grid((OUT, INNER), 0.5)}
PARALLEL = {"down": grid((INNER, IN), 0.6), "up": grid((OUT, INNER), 0.7)}
LOREFT = {"R": orthonormal(RANK, OUT, 0.8), "weight": grid((RANK, OUT), 0.9), "bias": grid((RANK,), 1.0)}


def base(x):
    return x @ INPUTS["W"].T + INPUTS["b"]


def series(down, up):
    """Return h + f(h D^T) U^T with h = W x + b: Table 1 of arXiv:2110.04366, "sequential"."""
    h = base(INPUTS["x"])
    return h + np.tanh(h @ down.T) @ up.T


def parallel(down, up):
    """Return W x + b + f(x D^T) U^T: Table 1 of arXiv:2110.04366, "parallel"."""
    return base(INPUTS["x"]) + np.tanh(INPUTS["x"] @ down.T) @ up.T


def loreft(R, weight, bias):
    """Return h + R^T (W h + b - R h) with h the base's output: arXiv:2404.03592, eq. 2."""
    h = base(INPUTS["x"])
    return h + (h @ weight.T + bias - h @ R.T) @ R


def gradients(method, parameters):
    """Return central differences of sum(output ** 2) by each parameter."""
    found = {}
    for name, values in parameters.items():
        slope = np.zeros(values.shape)
        for place in np.ndindex(values.shape):
            sides = []
            for sign in (1, -1):
                moved = values.copy()
                moved[place] += sign * STEP
                sides.append((method(**{**parameters, name: moved}) ** 2).sum())
            slope[place] = (sides[0] - sides[1]) / (2 * STEP)
        found[name] = slope
    return found


def values():
    """Return inputs, parameters, outputs and gradients of every method, as lists."""
    methods = {"series": (series, SERIES), "parallel": (parallel, PARALLEL), "loreft": (loreft, LOREFT)}
    result = {"inputs": INPUTS}
    for name, (method, parameters) in methods.items():
        moving = {key: value for key, value in parameters.items() if key != "R"}
        frozen = {key: value for key, value in parameters.items() if key == "R"}
        slopes = gradients(lambda method=method, frozen=frozen, **moved: method(**frozen, **moved), moving)
        result[name] = {"parameters": parameters, "output": method(**parameters), "gradients": slopes}
    return json.loads(json.dumps(result, default=lambda array: array.tolist()))


if __name__ == "__main__":
    FILE.write_text(json.dumps(values(), indent=1) + "\n", encoding="utf-8")
