"""A float32 network in ONNX Runtime behind LitServe: an uploaded image file in, its class out."""

import io
import os
import sys

import litserve
import numpy
import onnxruntime
from fastapi import Request
from PIL import Image

HEIGHT, WIDTH = int(os.environ["BENCH_HEIGHT"]), int(os.environ["BENCH_WIDTH"])
MODE = os.environ["BENCH_MODE"]


class Classifier(litserve.LitAPI):
    def setup(self, device: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            os.environ["BENCH_ONNX"], options, providers=["CPUExecutionProvider"]
        )
        self.input = self.session.get_inputs()[0].name

    def decode_request(self, request: Request) -> numpy.ndarray:
        image = Image.open(io.BytesIO(request["file"].file.read())).convert(MODE)
        pixels = numpy.asarray(image.resize((WIDTH, HEIGHT)), dtype=numpy.float32) - 128
        return pixels.reshape(HEIGHT, WIDTH, -1).transpose(2, 0, 1)

    def batch(self, inputs: list[numpy.ndarray]) -> numpy.ndarray:
        return numpy.stack(inputs)

    def predict(self, x: numpy.ndarray) -> numpy.ndarray:
        return self.session.run(None, {self.input: x if x.ndim == 4 else x[None]})[0]

    def unbatch(self, output: numpy.ndarray) -> list[numpy.ndarray]:
        return list(output)

    def encode_response(self, output: numpy.ndarray) -> dict[str, object]:
        logits = output.reshape(-1)
        return {"index": int(logits.argmax()), "logits": logits.tolist()}


if __name__ == "__main__":
    batch = int(os.environ["BENCH_BATCH"])
    api = Classifier(max_batch_size=batch, batch_timeout=0.0 if batch == 1 else 0.001)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(port=int(sys.argv[1]), host="127.0.0.1", generate_client_file=False, log_level="warning")
