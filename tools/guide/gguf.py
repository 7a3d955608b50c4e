"""A writer of GGUF files (version 3), for what train.py needs: metadata, F32 and Q8_0 tensors."""
import os
import struct

import numpy as np

TYPE_INT32, TYPE_UINT32, TYPE_FLOAT32, TYPE_BOOL, TYPE_STRING, TYPE_ARRAY = 5, 4, 6, 7, 8, 9
TENSOR_F32, TENSOR_Q8_0 = 0, 8
ALIGNMENT = 32


def q8_0(values):
    """Blocks of 32: float16 scale, then 32 signed bytes."""
    blocks = values.astype(np.float32).reshape(-1, 32)
    scale = np.abs(blocks).max(1, keepdims=True) / 127
    inverse = np.where(scale > 0, 1 / np.maximum(scale, 1e-12), 0)
    out = np.empty((blocks.shape[0], 34), np.uint8)
    out[:, :2] = scale.astype(np.float16).view(np.uint8)
    out[:, 2:] = np.rint(blocks * inverse).astype(np.int8).view(np.uint8)
    return out.tobytes()


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def padding(length):
    return b"\0" * (-length % ALIGNMENT)


class Writer:
    def __init__(self):
        self.metadata = []
        self.tensors = []

    def _add(self, key, kind, value):
        self.metadata.append(string(key) + struct.pack("<I", kind) + value)

    def add_uint32(self, key, value):
        self._add(key, TYPE_UINT32, struct.pack("<I", value))

    def add_float32(self, key, value):
        self._add(key, TYPE_FLOAT32, struct.pack("<f", value))

    def add_bool(self, key, value):
        self._add(key, TYPE_BOOL, struct.pack("<B", value))

    def add_string(self, key, value):
        self._add(key, TYPE_STRING, string(value))

    def _add_array(self, key, kind, items):
        self._add(key, TYPE_ARRAY, struct.pack("<IQ", kind, len(items)) + b"".join(items))

    def add_strings(self, key, values):
        self._add_array(key, TYPE_STRING, [string(v) for v in values])

    def add_floats(self, key, values):
        self._add_array(key, TYPE_FLOAT32, [struct.pack("<f", v) for v in values])

    def add_integers(self, key, values):
        self._add_array(key, TYPE_INT32, [struct.pack("<i", v) for v in values])

    def add_tensor(self, name, values):
        """Vectors as F32, matrices as Q8_0."""
        self.tensors.append((name, values))

    def write(self, path):
        info, data = b"", b""
        for name, values in self.tensors:
            if values.ndim == 1:
                raw, kind = values.astype("<f4").tobytes(), TENSOR_F32
            else:
                raw, kind = q8_0(values), TENSOR_Q8_0
            shape = b"".join(struct.pack("<Q", d) for d in reversed(values.shape))
            info += string(name) + struct.pack("<I", values.ndim) + shape
            info += struct.pack("<IQ", kind, len(data))
            data += raw + padding(len(raw))
        head = b"GGUF" + struct.pack("<IQQ", 3, len(self.tensors), len(self.metadata))
        head += b"".join(self.metadata) + info
        with open(path + ".tmp", "wb") as file:
            file.write(head + padding(len(head)) + data)
        os.replace(path + ".tmp", path)
