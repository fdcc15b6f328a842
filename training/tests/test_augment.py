from __future__ import annotations

import pytest
import torch

from lrnet.augment import Augmentation, augment


def point(size: int = 9) -> torch.Tensor:
    images = torch.zeros(500, 1, size, size)
    images[:, :, size // 2, size // 2] = 200.0
    return images


def centres(images: torch.Tensor) -> torch.Tensor:
    """The centre of brightness of each image as (x, y), in pixels from the middle."""
    size = images.shape[-1]
    offsets = torch.arange(size) - (size - 1) / 2
    weight = images[:, 0] / images[:, 0].sum(dim=(1, 2), keepdim=True)
    return torch.stack([(weight.sum(1) * offsets).sum(1), (weight.sum(2) * offsets).sum(1)], 1)


def test_without_ranges_images_stay_as_they_are() -> None:
    images = torch.rand(3, 2, 5, 5)
    assert torch.equal(augment(images, Augmentation()), images)


def test_shifts_reach_their_range_on_both_axes_and_no_further() -> None:
    torch.manual_seed(0)
    moved = centres(augment(point(), Augmentation(shift=2.0)))
    assert moved.abs().max().item() <= 2.0 + 1e-4
    assert moved.amax(0).tolist() == pytest.approx([2, 2], abs=0.1)
    assert moved.amin(0).tolist() == pytest.approx([-2, -2], abs=0.1)


def test_a_rotation_leaves_the_middle_and_moves_the_edge() -> None:
    torch.manual_seed(0)
    images = torch.zeros(500, 1, 9, 9)
    images[:, :, 4, 8] = 200.0
    moved = centres(augment(images, Augmentation(rotation=30.0)))
    assert moved[:, 1].abs().max().item() == pytest.approx(2.0, abs=0.2)  # 4 sin 30°
    middle = centres(augment(point(), Augmentation(rotation=30.0)))
    torch.testing.assert_close(middle, torch.zeros(500, 2), atol=1e-4, rtol=0)


def test_what_comes_from_outside_is_black() -> None:
    torch.manual_seed(0)
    moved = augment(torch.full((50, 1, 5, 5), 255.0), Augmentation(shift=3.0))
    assert moved.min().item() == 0.0
    assert moved.max().item() == pytest.approx(255.0)


def test_a_seed_gives_the_same_images() -> None:
    images = torch.rand(4, 1, 8, 8)
    ranges = Augmentation(shift=1, rotation=10, scale=0.1, shear=0.1)
    results = []
    for _ in range(2):
        torch.manual_seed(3)
        results.append(augment(images, ranges))
    assert torch.equal(*results)


def numbered(n: int = 400, size: int = 8) -> torch.Tensor:
    """Images of two channels whose pixels are all different, none of them 0."""
    pixels = torch.arange(1.0, 1 + 2 * size * size).view(1, 2, size, size)
    return pixels.expand(n, -1, -1, -1).contiguous()


def test_a_crop_moves_whole_pixels_as_far_as_it_may_and_lets_black_in() -> None:
    torch.manual_seed(0)
    images = numbered()
    cropped = augment(images, Augmentation(crop=2))
    padded = torch.nn.functional.pad(images[0], [2] * 4)
    places = {(y, x): padded[:, y : y + 8, x : x + 8] for y in range(5) for x in range(5)}
    seen = {place for image in cropped for place, expected in places.items() if torch.equal(image, expected)}
    assert all(any(torch.equal(image, each) for each in places.values()) for image in cropped)
    assert seen == set(places)


def test_a_flip_changes_left_and_right_of_as_many_images_as_it_should() -> None:
    torch.manual_seed(0)
    images = numbered()
    flipped = augment(images, Augmentation(flip=0.25))
    changed = [not torch.equal(image, images[0]) for image in flipped]
    assert all(
        torch.equal(image, images[0].flip(2))
        for image, is_changed in zip(flipped, changed, strict=True)
        if is_changed
    )
    assert 0.15 < sum(changed) / len(changed) < 0.35


def test_a_cutout_makes_one_square_black_that_may_stand_out_of_the_image() -> None:
    torch.manual_seed(0)
    cut = augment(numbered(), Augmentation(cutout=4)) == 0
    assert torch.equal(cut[:, 0], cut[:, 1])
    sides = torch.stack([cut[:, 0].any(2).sum(1), cut[:, 0].any(1).sum(1)])
    assert torch.equal(cut[:, 0].sum((1, 2)), sides.prod(0))
    assert int(sides.max()) == 4
    # The middle lies in the image, so that half of the square does at least.
    assert int(sides.min()) == 2
    assert cut[:, 0].any(0).all()
