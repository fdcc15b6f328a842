"""The float twin as ONNX: `image`, float32 [N, C, H, W] holding p - 128, to `logits`, float32 [N, classes]."""

from __future__ import annotations

import logging

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from lrnet.discrete import Input


def to_onnx(network: nn.Module, image: Input) -> bytes:
    """A module that takes float32 [N, C, H, W] and gives logits [N, classes], as one ONNX file for any N.

    The same weights give the same bytes. No weight lies outside of the file, and no path of this machine in it.
    """
    # Two rows: of one, the exporter would conclude that there is always one.
    example = torch.zeros(2, image.channels, image.height, image.width)
    # The exporter warns of every optional package that is absent.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    program = torch.onnx.export(
        network,
        (example,),
        input_names=["image"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        external_data=False,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    return to_bytes(program.model_proto)


def to_bytes(model: onnx.ModelProto) -> bytes:
    """The file of a model, checked, without what the tool that made it notes of its own doing."""
    _strip(model)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def baseline_logits(model: bytes, pixels: NDArray[np.uint8], chunk: int = 500) -> NDArray[np.float32]:
    """Logits [n, classes] of pixels [n, H, W, C], by onnxruntime on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    chunks = [pixels[start : start + chunk] for start in range(0, len(pixels), chunk)]
    return np.concatenate([session.run(["logits"], {"image": to_image(rows)})[0] for rows in chunks])


def to_image(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Bytes p, [n, H, W, C], as x = p - 128, float32 [n, C, H, W]."""
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2).astype(np.float32) - 128)


def _strip(model: onnx.ModelProto) -> None:
    """Removes notes, such as the exporter's stack traces with the paths of this machine."""
    del model.metadata_props[:]
    model.doc_string = ""
    graph = model.graph
    del graph.metadata_props[:]
    graph.doc_string = ""
    for part in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
