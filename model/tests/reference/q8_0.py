"""Writes tests/fixtures/q8_0.json: numbers, and the bytes that ggml's q8_0 stores them as.

    python q8_0.py ../fixtures

Needs numpy and gguf. The tests read the result only.
"""

import json
import os
import sys

import gguf
import numpy as np

rng = np.random.default_rng(7)
blocks = [
    # Halves, which are rounded away from zero.
    np.concatenate([[127.0, -127.0], np.arange(-15, 15) + 0.5]),
    np.zeros(32),
    # A factor that is subnormal in half precision, and one that comes out as zero.
    rng.standard_normal(32) * 1e-5,
    rng.standard_normal(32) * 1e-8,
    rng.standard_normal(32) * 0.02,
    rng.standard_normal(32) * 3e4,
]
values = np.concatenate(blocks).astype(np.float32)
stored = gguf.quants.quantize(values, gguf.GGMLQuantizationType.Q8_0)
with open(os.path.join(sys.argv[1], "q8_0.json"), "w") as file:
    json.dump({"values": [float(value) for value in values], "bytes": stored.tobytes().hex()}, file)
    file.write("\n")
