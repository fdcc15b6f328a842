"""Random changes of images, on the device."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """All 0 leaves images as they are.

    Of one affine map an image, each value the largest of a uniform draw of either sign: shift, in pixels; rotation,
    in degrees; scale, a fraction of the size; shear, a fraction of the height.
    crop: whole pixels, at most, by which an image is moved along each axis, black coming in;
    flip: the probability that left and right change places; cutout: the side of a square, in pixels, that is made
    black at a random place, and may stand out of the image (DeVries and Taylor, 2017).
    """

    shift: float = 0.0
    rotation: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    crop: int = 0
    flip: float = 0.0
    cutout: int = 0


def augment(images: Tensor, augmentation: Augmentation) -> Tensor:
    """Images float [n, C, H, W], of bytes 0 … 255, each changed by draws of its own."""
    if augmentation.shift or augmentation.rotation or augmentation.scale or augmentation.shear:
        images = _transform(images, augmentation)
    if augmentation.crop or augmentation.flip:
        images = _move(images, augmentation)
    if augmentation.cutout:
        images = _cut_out(images, augmentation.cutout)
    return images


def _transform(images: Tensor, augmentation: Augmentation) -> Tensor:
    """Images under one affine map each, bilinear, with 0 from outside."""
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


def _move(images: Tensor, augmentation: Augmentation) -> Tensor:
    """Images moved by whole pixels, with 0 from outside, and some of them flipped: pixels keep their values."""
    n, _, height, width = images.shape
    device, crop = images.device, augmentation.crop
    offsets = torch.randint(0, 2 * crop + 1, (2, n, 1), device=device)
    flipped = torch.rand(n, 1, device=device) < augmentation.flip
    columns = torch.arange(width, device=device).expand(n, width)
    columns = torch.where(flipped, columns.flip(1), columns) + offsets[1]
    rows = torch.arange(height, device=device) + offsets[0]
    padded = F.pad(images, [crop] * 4)
    place = torch.arange(n, device=device)[:, None, None]
    # Channels last: indexing by image, row and column then moves whole pixels.
    return padded.permute(0, 2, 3, 1)[place, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _cut_out(images: Tensor, side: int) -> Tensor:
    """Images with a black square each, whose middle is a pixel of the image."""
    n, _, height, width = images.shape
    device = images.device

    def inside(size: int) -> Tensor:
        first = torch.randint(0, size, (n, 1), device=device) - side // 2
        place = torch.arange(size, device=device)
        return (place >= first) & (place < first + side)

    square = inside(height)[:, :, None] & inside(width)[:, None, :]
    return images.masked_fill(square[:, None], 0.0)
