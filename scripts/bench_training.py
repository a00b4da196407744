"""Time of a training epoch of ResNet8 with an approximate forward pass, and what layers keep.

An epoch is 10 000 random 32x32 images in batches of 32: forward, backward and a step of SGD. It
is compared in the same run with the epoch of the same quantised network with exact products, and
with that of the network in plain floating point.

    python scripts/bench_training.py [--threads N] [--images N]
"""

import argparse
import time
from typing import Any

import torch
import torch.nn.functional as F
from bench_networks import attach, multiplications, quantised
from qosnets_library.default import default_library
from qosnets_search.quantised.layers import MultiplyingLayer
from qosnets_search.quantised.network import QuantisedNetwork
from torch import Tensor, nn

MULTIPLIER = "mul8u_mse2760"
BATCH = 32


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--images", type=int, default=10_000)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    images = torch.randn(arguments.images, 3, 32, 32)
    labels = torch.randint(10, (arguments.images,))
    network = quantised("resnet8")
    table = torch.from_numpy(default_library().lut(MULTIPLIER))
    print(f"ResNet8, {multiplications(network):,} products per image; {MULTIPLIER}")
    seconds = {"floating point": _epoch(network, images, labels)}
    for name, lut in (("exact", None), ("approximate", table)):
        attach(network, lut)
        seconds[name] = _epoch(network, images, labels)
    for name, value in seconds.items():
        ratio = value / seconds["exact"]
        print(f"{name:16} {value:7.1f} s per {arguments.images} images, {ratio:5.2f} of exact")
    _print_memory(network, table, images[:BATCH])


def _epoch(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01)
    network.train()

    def step(start: int) -> None:
        batch = slice(start, start + BATCH)
        optimiser.zero_grad()
        F.cross_entropy(network(images[batch]), labels[batch]).backward()
        optimiser.step()

    step(0)  # compilation and calibration are not part of an epoch
    begin = time.perf_counter()
    for start in range(0, len(images), BATCH):
        step(start)
    return time.perf_counter() - begin


def _print_memory(network: QuantisedNetwork, table: Tensor, images: Tensor) -> None:
    """Print what each layer keeps for its backward pass."""
    print(f"\nkept for the backward pass of {len(images)} images [KiB]")
    print(f"{'layer':36} {'approximate':>11} {'exact':>9} {'unfolded':>9}")
    kept: dict[str, dict[str, int]] = {"approximate": {}, "exact": {}}
    shapes: dict[str, int] = {}
    for name, lut in (("approximate", table), ("exact", None)):
        attach(network, lut)
        handles = []
        for path, block in network.named_blocks.items():
            handles += _watch(block.layer, path, kept[name], shapes)
        network(images)
        for handle in handles:
            handle.remove()
    for path, n_bytes in kept["approximate"].items():
        print(
            f"{path:36} {n_bytes / 1024:11.0f} {kept['exact'][path] / 1024:9.0f}"
            f" {shapes[path] / 1024:9.0f}"
        )


def _watch(
    layer: MultiplyingLayer, path: str, kept: dict[str, int], unfolded: dict[str, int]
) -> list[Any]:
    """Count the bytes that a layer saves, and those of its unfolded fields in floating point."""
    hooks: list[Any] = []

    def pack(tensor: Tensor) -> Tensor:
        kept[path] = kept.get(path, 0) + tensor.numel() * tensor.element_size()
        return tensor

    def before(_layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        geometry = layer.geometry
        unfolded[path] = 4 * len(inputs[0]) * geometry.positions * geometry.reduction
        hooks.append(torch.autograd.graph.saved_tensors_hooks(pack, _same))
        hooks[-1].__enter__()

    def after(*_: object) -> None:
        hooks.pop().__exit__(None, None, None)

    return [layer.register_forward_pre_hook(before), layer.register_forward_hook(after)]


def _same(tensor: Tensor) -> Tensor:
    return tensor


if __name__ == "__main__":
    main()
