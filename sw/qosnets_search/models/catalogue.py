"""The networks by name, and networks of the user."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Protocol

import torch
from qosnets.errors import InputError, shorten
from torch import Tensor, nn

from .digits import digits_cnn
from .lenet import lenet5
from .mobilenet import mobilenetv2
from .reference import call_factory, is_reference
from .resnet import resnet
from .vgg import vgg16

__all__ = ["MODELS", "Model", "ModelFactory", "load_model"]


class ModelFactory(Protocol):
    """Makes a network with fresh weights."""

    def __call__(self, *, n_classes: int = ..., in_channels: int = ...) -> nn.Module:
        """Return the network for so many classes and channels of the image."""


@dataclass(frozen=True)
class Model:
    """A network of the catalogue."""

    name: str
    factory: ModelFactory
    input_shape: tuple[int, int, int]
    """Channels, height and width of the images that the network is known for."""
    n_classes: int
    """Classes that the network is known for."""


MODELS: Mapping[str, Model] = MappingProxyType(
    {
        model.name: model
        for model in (
            Model("resnet8", partial(resnet, 8), (3, 32, 32), 10),
            Model("resnet14", partial(resnet, 14), (3, 32, 32), 10),
            Model("resnet20", partial(resnet, 20), (3, 32, 32), 10),
            Model("resnet32", partial(resnet, 32), (3, 32, 32), 10),
            Model("mobilenetv2", mobilenetv2, (3, 64, 64), 200),
            Model("vgg16", vgg16, (3, 32, 32), 10),
            Model("lenet5", lenet5, (1, 32, 32), 10),
            Model("digits", digits_cnn, (1, 8, 8), 10),
        )
    }
)
"""All networks of the catalogue by name."""


def load_model(
    name_or_reference: str, *, input_shape: tuple[int, int, int], n_classes: int | None
) -> nn.Module:
    """Return a network with the weights that its factory gives it.

    Parameters
    ----------
    name_or_reference
        A name of :data:`MODELS`, or ``package.module:factory``, called without arguments; the
        current directory is searched first, as with ``python -m``.
    input_shape
        Channels, height and width of the images.
    n_classes
        Number of classes; None: as many as the network has.

    Raises
    ------
    InputError
        If there is no such network, if the user's factory fails or returns no ``nn.Module``, or
        if the network does not map an image of that shape to that many logits.
    """
    where = f"--model: {name_or_reference}"
    if name_or_reference in MODELS:
        model = MODELS[name_or_reference]
        network: object = model.factory(
            n_classes=n_classes or model.n_classes, in_channels=input_shape[0]
        )
    elif is_reference(name_or_reference):
        network = call_factory(name_or_reference, option="--model")
    else:
        rule = f"must be one of {', '.join(MODELS)} or package.module:factory"
        raise InputError(f"--model: {rule}, not {shorten(name_or_reference)}")
    if not isinstance(network, nn.Module):
        raise InputError(f"{where}: must return a torch.nn.Module, not {type(network).__name__}")
    _check_shapes(network, input_shape, n_classes, where)
    return network


def _check_shapes(
    network: nn.Module, input_shape: tuple[int, int, int], n_classes: int | None, where: str
) -> None:
    """Send one image through the network; its weights and its mode stay as they are."""
    parameter = next(network.parameters(), torch.zeros(()))
    image = torch.zeros((1, *input_shape), device=parameter.device)
    modes = {module: module.training for module in network.modules()}
    network.eval()
    shape = "x".join(map(str, input_shape))
    try:
        with torch.no_grad():
            logits = network(image)
    except Exception as error:
        text = " ".join(str(error).split())
        rule = f"must take images of {shape}: {type(error).__name__}: {text}"
        raise InputError(f"{where}: {rule}") from error
    finally:
        for module, mode in modes.items():
            module.training = mode
    if n_classes is None:
        return
    wanted = (1, n_classes)
    if not isinstance(logits, Tensor) or tuple(logits.shape) != wanted:
        found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        rule = f"must give logits of shape {wanted} for an image of {shape}"
        raise InputError(f"{where}: {rule}, not {found}")
