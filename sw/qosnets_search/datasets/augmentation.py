"""Random flips and crops of training images."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Augmentation"]


@dataclass(frozen=True)
class Augmentation:
    """Random horizontal flips, and random crops out of the image with a border of zeros."""

    padding: int
    """Width of the border, pixels; an image is displaced by up to that much each way."""
    flip: bool = True
    """Mirror every second image, on average."""

    def augment(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return the batch, each image flipped and cropped on its own.

        Parameters
        ----------
        images
            Normalised images ``[image, channel, height, width]``: the border's zero is then the
            mean of the data set.
        generator
            Source of the choices, on any device; equal choices for equal states.
        """
        n, height, width = len(images), images.shape[2], images.shape[3]

        def drawn(n_choices: int) -> Tensor:
            device = generator.device
            choices = torch.randint(n_choices, (n,), generator=generator, device=device)
            return choices.to(images.device)

        if self.flip:
            flipped = drawn(2).bool()[:, None, None, None]
            images = torch.where(flipped, images.flip(3), images)
        if self.padding:
            n_places = 2 * self.padding + 1
            padded = F.pad(images, (self.padding,) * 4)
            crops = padded.unfold(2, height, 1).unfold(3, width, 1)
            image = torch.arange(n, device=images.device)
            images = crops[image, :, drawn(n_places), drawn(n_places)]
        return images
