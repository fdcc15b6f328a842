"""The float twin in int8, baseline-int8.onnx: the same network as others would make it small and fast.

onnxruntime.quantization makes it of baseline.onnx, in the form that onnxruntime computes with integers from the image
to the logits (QuantizeLinear and DequantizeLinear around each operation): int8 weights with a scale a channel, uint8
activations with a scale a tensor, int32 biases. It is the form of the int8 networks that bench/onnx/int8-twin.ts
makes of random weights.

On processors without VNNI sums of products of uint8 and int8 may saturate (the documentation of quantize_static), and
then the figures of the same file are others.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from lrnet.onnx import to_bytes, to_image

CALIBRATION_IMAGES = 500
"""Training images that give each activation its range, from the least to the largest value.

Measured on held-out images, 238 of the digits and 5,000 of MNIST, by twins with hardtanh and with ReLU: this, the 99.99th
and the 99.999th percentile and least entropy, each with 100 to 2,000 images, all came within 0.001 nats and three
answers of each other, in no order. So it is the simplest, which cuts no value off. The ranges of hardtanh are known, and
100 images give the same file as 2,000; with ReLU more than 500 change nothing but the time.
"""

_CHUNK = 20
_IMAGE_RANGE = {"rmin": np.float32(-128), "rmax": np.float32(127)}


@dataclass(frozen=True)
class Int8Baseline:
    """file: of ONNX; calibration_images: how many its activations' ranges are from."""

    file: bytes
    calibration_images: int

    def described(self) -> dict[str, Any]:
        """What a model's provenance says of it; its figures are among the others."""
        return {
            "sha256": hashlib.sha256(self.file).hexdigest(),
            "bytes": len(self.file),
            "calibrationImages": self.calibration_images,
            "onnxruntime": onnxruntime.__version__,
        }


def to_int8(baseline: bytes, training: NDArray[np.uint8]) -> Int8Baseline:
    """The quantized file of a float one (`lrnet.onnx`), with the same input and output, by images [n, H, W, C], n >= 1.

    The same file and images give the same bytes. No path of this machine is in them.
    """
    # From all over the images, whose order may be that of their classes.
    places = np.linspace(0, len(training) - 1, min(CALIBRATION_IMAGES, len(training))).astype(np.int64)
    network = onnx.load_from_string(baseline)
    # Or else it warns that batch norms could be folded, and shapes inferred, beforehand.
    add_pre_process_metadata(network)
    with tempfile.TemporaryDirectory(prefix="lrnet-") as folder:
        path = Path(folder) / "int8.onnx"
        quantize_static(
            network,
            path,
            _Images(training[places]),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={
                # A byte takes p - 128 without loss, whatever pixels there were.
                "TensorQuantOverrides": {"image": [_IMAGE_RANGE]},
                # The logits stay float32. Behind the other products, the activation is quantized.
                "OpTypesToExcludeOutputQuantization": ["Gemm"],
            },
        )
        return Int8Baseline(to_bytes(onnx.load(path)), len(places))


class _Images(CalibrationDataReader):
    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        starts = range(0, len(pixels), _CHUNK)
        self._chunks: Iterator[NDArray[np.uint8]] = (pixels[start : start + _CHUNK] for start in starts)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(({"image": to_image(chunk)} for chunk in self._chunks), None)
