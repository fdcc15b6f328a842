"""Random affine maps of images, on the device."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """Each value is the largest of a uniform draw of either sign; all 0 leaves images as they are.

    shift: pixels; rotation: degrees; scale: a fraction of the size; shear: a fraction of the height.
    """

    shift: float = 0.0
    rotation: float = 0.0
    scale: float = 0.0
    shear: float = 0.0


def augment(images: Tensor, augmentation: Augmentation) -> Tensor:
    """Images float [n, C, H, W] under one random map each, bilinear, with 0 from outside."""
    if augmentation == Augmentation():
        return images
    n, _, height, width = images.shape
    draws = torch.rand(6, n, device=images.device) * 2 - 1
    angle = draws[0] * math.radians(augmentation.rotation)
    across = 1 + draws[1] * augmentation.scale
    down = 1 + draws[2] * augmentation.scale
    shear = draws[3] * augmentation.shear
    cosine, sine = angle.cos(), angle.sin()
    # affine_grid's coordinates run from -1 to 1 over each axis, so a pixel is 2 / size.
    to_right = draws[4] * augmentation.shift * 2 / width
    to_bottom = draws[5] * augmentation.shift * 2 / height
    maps = torch.stack([across * cosine, shear - sine, to_right, sine, down * cosine, to_bottom], dim=1).view(
        n, 2, 3
    )
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
