"""Drives tritonclient, as it comes from the package index, against a server with the model `tiny`."""

import json
import os
import unittest
from pathlib import Path

import numpy as np
import tritonclient.http as http
from tritonclient.utils import InferenceServerException

with open(os.environ["XNORD_EXPECTED"], encoding="utf-8") as file:
    EXPECTED = json.load(file)
IMAGES = np.array(EXPECTED["images"], dtype=np.uint8).reshape(-1, 13, 11, 3)
LOGITS = np.array(EXPECTED["logits"], dtype=np.float32).reshape(-1, 3, 5)
FILE = (Path(__file__).parent.parent / "fixtures" / "digit.png").read_bytes()
ADMINISTRATOR = {"Authorization": f"Bearer {os.environ['XNORD_ADMIN_KEY']}"}
ALL_MEMBERS = {"members": 3}


def images(binary=True):
    """The check images as an input tensor."""
    tensor = http.InferInput("image", IMAGES.shape, "UINT8")
    return [tensor.set_data_from_numpy(IMAGES, binary_data=binary)]


def files(count=1):
    """Image files as an input tensor."""
    tensor = http.InferInput("image", [count], "BYTES")
    return [tensor.set_data_from_numpy(np.array([FILE] * count, dtype=np.object_))]


class TritonClient(unittest.TestCase):
    def setUp(self):
        self.client = http.InferenceServerClient(os.environ["XNORD_ADDRESS"], concurrency=4)
        self.addCleanup(self.client.close)

    def refused(self, status, call, *args, **kwargs):
        with self.assertRaises(InferenceServerException) as caught:
            call(*args, **kwargs)
        self.assertEqual(caught.exception.status(), str(status))
        return caught.exception.message()

    def assert_logits(self, result):
        np.testing.assert_array_equal(result.as_numpy("logits"), LOGITS)

    def test_health(self):
        self.assertTrue(self.client.is_server_live())
        self.assertTrue(self.client.is_server_ready())
        self.assertTrue(self.client.is_model_ready("tiny"))
        self.assertTrue(self.client.is_model_ready("tiny", "1"))
        self.assertFalse(self.client.is_model_ready("other"))

    def test_server_metadata_names_what_is_offered(self):
        metadata = self.client.get_server_metadata()
        self.assertEqual(metadata["name"], "xnord")
        for extension in (
            "binary_tensor_data",
            "classification",
            "model_configuration",
            "statistics",
            "model_repository",
        ):
            self.assertIn(extension, metadata["extensions"])

    def test_model_metadata_and_configuration_describe_the_same_model(self):
        for version in ("", "1"):
            metadata = self.client.get_model_metadata("tiny", version)
            config = self.client.get_model_config("tiny", version)
            self.assertEqual(
                metadata["inputs"], [{"name": "image", "datatype": "UINT8", "shape": [-1, 13, 11, 3]}]
            )
            self.assertEqual(config["input"][0]["dims"], [13, 11, 3])
            self.assertGreater(config["max_batch_size"], 0)
            self.assertEqual([o["name"] for o in metadata["outputs"]], [o["name"] for o in config["output"]])

    def test_statistics_count_rows_and_requests(self):
        def counts(version=""):
            stats = self.client.get_inference_statistics("tiny", version)["model_stats"][0]
            return stats["inference_count"], stats["inference_stats"]["success"]["count"]

        rows, requests = counts()
        for _ in range(3):
            self.client.infer("tiny", images())
        self.assertEqual(counts("1"), (rows + 3 * len(IMAGES), requests + 3))
        self.assertEqual(len(self.client.get_inference_statistics()["model_stats"]), 1)

    def test_tensors_in_binary(self):
        result = self.client.infer("tiny", images(), parameters=ALL_MEMBERS)
        self.assert_logits(result)
        self.assertEqual(result.as_numpy("probabilities").shape, (len(IMAGES), 5))
        self.assertEqual(result.as_numpy("label").shape, (len(IMAGES),))
        self.assertEqual(result.as_numpy("uncertainty").shape, (len(IMAGES), 3))

    def test_tensors_in_json(self):
        outputs = [http.InferRequestedOutput(name, binary_data=False) for name in ("label", "logits")]
        result = self.client.infer("tiny", images(binary=False), outputs=outputs, parameters=ALL_MEMBERS)
        self.assert_logits(result)
        binary = self.client.infer("tiny", images(), parameters=ALL_MEMBERS)
        self.assertEqual(
            [label.encode() for label in result.as_numpy("label")], list(binary.as_numpy("label"))
        )

    def test_outputs_partly_in_binary(self):
        outputs = [
            http.InferRequestedOutput("label"),
            http.InferRequestedOutput("uncertainty", binary_data=False),
            http.InferRequestedOutput("logits"),
        ]
        result = self.client.infer("tiny", images(), outputs=outputs, parameters=ALL_MEMBERS)
        self.assert_logits(result)
        self.assertEqual(result.as_numpy("uncertainty").shape, (len(IMAGES), 3))

    def test_layers_are_those_of_the_reference(self):
        listed = self.client.get_model_metadata("tiny")["layers"]
        self.assertIn("BOOL", [layer["datatype"] for layer in listed])
        for binary in (True, False):
            outputs = [http.InferRequestedOutput(layer["name"], binary_data=binary) for layer in listed]
            result = self.client.infer("tiny", images(), outputs=outputs, parameters=ALL_MEMBERS)
            for layer in listed:
                actual = result.as_numpy(layer["name"])
                expected = np.array(EXPECTED["layers"][layer["name"]], dtype=np.float32)
                if layer["datatype"] == "BOOL":
                    actual = np.where(actual, np.float32(1), np.float32(-1))
                np.testing.assert_array_equal(actual.reshape(len(IMAGES), -1), expected)
                self.assertEqual(list(actual.shape[2:]), layer["shape"][2:])

    def test_packed_bits_are_pixels_of_0_and_255(self):
        bits = IMAGES > 127
        packed = http.InferInput("image", IMAGES.shape, "UINT8")
        rows = np.packbits(bits.reshape(len(bits), -1), axis=1, bitorder="little")
        packed._parameters.update(bit_packed=True, binary_data_size=rows.nbytes)
        packed._raw_data = rows.tobytes()
        spread = http.InferInput("image", IMAGES.shape, "UINT8")
        spread.set_data_from_numpy(np.where(bits, 255, 0).astype(np.uint8))
        results = [self.client.infer("tiny", [tensor]).as_numpy("logits") for tensor in (packed, spread)]
        np.testing.assert_array_equal(*results)

    def test_packed_layers_are_the_same_bits(self):
        name = next(
            layer["name"]
            for layer in self.client.get_model_metadata("tiny")["layers"]
            if layer["datatype"] == "BOOL"
        )
        packed = http.InferRequestedOutput(name)
        packed._parameters["bit_packed"] = True
        response = self.client.infer("tiny", images(), outputs=[packed], parameters=ALL_MEMBERS)
        expected = np.array(EXPECTED["layers"][name]) > 0
        rows = np.frombuffer(response._buffer, np.uint8).reshape(len(IMAGES), -1)
        bits = np.unpackbits(rows, axis=1, count=expected.shape[1], bitorder="little")
        np.testing.assert_array_equal(bits, expected)

    def test_image_files(self):
        result = self.client.infer("tiny", files(3), model_version="1")
        self.assertEqual(len(set(result.as_numpy("label"))), 1)

    def test_compressed_requests(self):
        for algorithm in ("gzip", "deflate"):
            result = self.client.infer(
                "tiny",
                images(),
                parameters=ALL_MEMBERS,
                request_compression_algorithm=algorithm,
                response_compression_algorithm=algorithm,
            )
            self.assert_logits(result)

    def test_classification(self):
        for binary in (True, False):
            outputs = [http.InferRequestedOutput("probabilities", binary_data=binary, class_count=2)]
            top = self.client.infer("tiny", images(), outputs=outputs).as_numpy("probabilities")
            self.assertEqual(top.shape, (len(IMAGES), 2))
        probabilities = self.client.infer("tiny", images()).as_numpy("probabilities")
        labels = self.client.infer("tiny", images()).as_numpy("label")
        for row, text in enumerate(top[:, 0]):
            value, index, label = text.split(":")
            self.assertEqual(int(index), probabilities[row].argmax())
            self.assertEqual(np.float32(value), probabilities[row].max())
            self.assertEqual(label.encode(), labels[row])

    def test_identifier_and_parameters(self):
        result = self.client.infer(
            "tiny",
            images(),
            request_id="my-1",
            timeout=60_000_000,
            priority=2,
            sequence_id=7,
            sequence_start=True,
        )
        self.assertEqual(result.get_response()["id"], "my-1")

    def test_a_timeout_that_cannot_be_met(self):
        self.refused(503, self.client.infer, "tiny", images(), timeout=1)

    def test_asynchronous_requests(self):
        pending = [self.client.async_infer("tiny", images(), parameters=ALL_MEMBERS) for _ in range(8)]
        for request in pending:
            self.assert_logits(request.get_result())

    def test_bodies_made_by_the_client_alone(self):
        body, length = http.InferenceServerClient.generate_request_body(images(), parameters=ALL_MEMBERS)
        response = self.client._post(
            "v2/models/tiny/infer", body, {"Inference-Header-Content-Length": length}, None
        )
        result = http.InferenceServerClient.parse_response_body(
            response.read(), header_length=int(response["inference-header-content-length"])
        )
        self.assert_logits(result)

    def test_raw_requests(self):
        response = self.client._post(
            "v2/models/tiny/infer", IMAGES.tobytes(), {"Inference-Header-Content-Length": "0"}, None
        )
        result = http.InferResult(response, verbose=False)
        members = result.as_numpy("logits").shape[1]
        np.testing.assert_array_equal(result.as_numpy("logits"), LOGITS[:, :members])

    def test_errors_say_what_is_wrong(self):
        self.assertIn("other", self.refused(404, self.client.infer, "other", images()))
        self.assertIn("9", self.refused(404, self.client.get_model_metadata, "tiny", "9"))
        wrong = http.InferInput("pixels", IMAGES.shape, "UINT8").set_data_from_numpy(IMAGES)
        self.assertIn("pixels", self.refused(400, self.client.infer, "tiny", [wrong]))
        outputs = [http.InferRequestedOutput("nothing")]
        self.assertIn("nothing", self.refused(400, self.client.infer, "tiny", images(), outputs=outputs))
        shared = http.InferInput("image", IMAGES.shape, "UINT8")
        shared.set_shared_memory("region", IMAGES.nbytes)
        self.assertIn("shared memory", self.refused(400, self.client.infer, "tiny", [shared]))
        broken = http.InferInput("image", [1], "BYTES")
        broken.set_data_from_numpy(np.array([b"not an image"], dtype=np.object_))
        self.assertIn("image[0]", self.refused(415, self.client.infer, "tiny", [broken]))

    def test_model_repository(self):
        ready = [{"name": "tiny", "version": "1", "state": "READY", "reason": ""}]
        self.assertEqual(self.client.get_model_repository_index(), ready)
        self.refused(401, self.client.unload_model, "tiny")
        self.client.unload_model("tiny", headers=ADMINISTRATOR)
        self.assertFalse(self.client.is_model_ready("tiny"))
        self.assertEqual(self.client.get_model_repository_index()[0]["state"], "UNAVAILABLE")
        self.refused(404, self.client.infer, "tiny", images())
        self.client.load_model("tiny", headers=ADMINISTRATOR)
        self.assertEqual(self.client.get_model_repository_index(), ready)
        self.assert_logits(self.client.infer("tiny", images(), parameters=ALL_MEMBERS))
        self.refused(404, self.client.load_model, "other", headers=ADMINISTRATOR)

    def test_a_load_takes_neither_a_configuration_nor_files(self):
        self.assertIn(
            "config", self.refused(400, self.client.load_model, "tiny", headers=ADMINISTRATOR, config="{}")
        )
        files = {"file:1/model.safetensors": b"bytes"}
        self.refused(400, self.client.load_model, "tiny", headers=ADMINISTRATOR, config="{}", files=files)
