"""A network as a list of steps that a page can carry out without torch: what `torch.export` finds it to consist of."""

import base64
import operator
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.export.graph_signature import InputKind

# Tensors of a page are contiguous; of a tuple, it makes the first.
SAME_DATA = ("view", "_unsafe_view", "clone", "alias", "detach", "squeeze", "unsqueeze", "getitem")
OPERATIONS = (  # what forward.js carries out
    *("permute", "slice", "select", "cat", "addmm", "mm", "convolution", "max_pool2d_with_indices", "_softmax", "sum"),
    "_native_batch_norm_legit_no_training",
    *("relu", "sigmoid", "tanh", "exp", "sqrt", "log", "neg", "reciprocal", "clamp"),
    *("add", "sub", "mul", "div", "pow"),
)


class UnknownOperation(ValueError):
    """A network uses an operation that a page does not know; the message names it."""


class Constants:
    """Weights, as float16, one after the other."""

    def __init__(self) -> None:
        self.shapes: list[list[int]] = []
        self._parts: list[bytes] = []

    def add(self, values: Tensor) -> int:
        """The number under which a step finds these values."""
        self.shapes.append(list(values.shape))
        self._parts.append(values.detach().cpu().contiguous().numpy().astype(np.float16).tobytes())
        return len(self.shapes) - 1

    def as_dict(self) -> dict[str, Any]:
        return {"shapes": self.shapes, "values": base64.b64encode(b"".join(self._parts)).decode()}


def positional(node: fx.Node) -> list[Any]:
    """All arguments of an operation, in the order of its definition.

    Raises:
        UnknownOperation: one has a value that forward.js does not look at.
    """
    defined = node.target._schema.arguments
    values = {one.name: node.kwargs.get(one.name, one.default_value) for one in defined}
    values |= dict(zip(values, node.args, strict=False))
    name = node.target.overloadpacket.__name__
    plain = {"alpha": (1,), "groups": (1,), "dilation": ([1, 1], 1), "output_padding": ([0, 0],), "ceil_mode": (False,)}
    if name == "max_pool2d_with_indices":
        plain |= {"padding": (0, [0, 0]), "stride": ([], values["kernel_size"])}
    if name == "_softmax":
        plain |= {"dim": (-1, len(node.meta["val"].shape) - 1)}
    if name == "sum":
        plain |= {"dtype": (None,)}
    for key, known in plain.items():
        if key in values and values[key] not in known:
            raise UnknownOperation(f"{name} with {key} {values[key]} is not what forward.js carries out")
    return [values[one.name] for one in defined if not one.kwarg_only]


def steps(network: nn.Module, shape: Sequence[int], constants: Constants) -> dict[str, Any]:
    """The steps from one input of `shape` to the outputs, in order.

    `steps`: each with its operation, its arguments and the shape of what it makes; an argument is a number, None, a
    list, or {"step": i} or {"constant": i}; step 0 is the input. `outputs`: the steps that made them.

    Raises:
        UnknownOperation: one of them is not in OPERATIONS.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of torch, about what torch calls
        program = torch.export.export(network, (torch.zeros(1, *shape),)).run_decompositions()
    weights: dict[str, Tensor | None] = {}
    for given in program.graph_signature.input_specs:
        known = program.state_dict | program.constants
        weights[given.arg.name] = None if given.kind == InputKind.USER_INPUT else known[given.target]
    made: list[dict[str, Any]] = [{"operation": "input", "arguments": [], "shape": [1, *shape]}]
    found: dict[fx.Node, Tensor | dict[str, int]] = {}  # a constant, or the step that makes it

    def argument(value: Any) -> Any:
        if isinstance(value, fx.Node):
            value = found[value]
        if isinstance(value, Tensor):
            return {"constant": constants.add(value)}
        return [argument(one) for one in value] if isinstance(value, list | tuple) else value

    for node in program.graph.nodes:
        if node.op == "placeholder":
            values = weights[node.name]
            found[node] = {"step": 0} if values is None else values
        elif node.op == "output":
            return {"steps": made, "outputs": [argument(one)["step"] for one in node.args[0]]}
        elif all(isinstance(found[one], Tensor) for one in node.all_input_nodes):
            given = fx.map_arg((node.args, node.kwargs), lambda one: found[one])
            found[node] = node.target(*given[0], **given[1])
        else:
            name = "getitem" if node.target is operator.getitem else node.target.overloadpacket.__name__
            if name not in (*SAME_DATA, *OPERATIONS):
                raise UnknownOperation(f"{name} is not among what forward.js carries out: {', '.join(OPERATIONS)}")
            values = node.meta["val"]
            shape = list((values[0] if isinstance(values, tuple) else values).shape)
            if name in SAME_DATA:
                made.append({"operation": "same", "arguments": argument(node.args[:1]), "shape": shape})
            else:
                made.append({"operation": name, "arguments": argument(positional(node)), "shape": shape})
            found[node] = {"step": len(made) - 1}
    raise AssertionError("a graph has an output")
