"""Writes the models under tests/fixtures/forms: each form in which weights come,
and the activations and options that fixtures.py leaves out.

    python forms.py ../fixtures

Needs numpy, safetensors and gguf. Neither PyTorch nor transformers computes here:
the logits come from the forward pass below, written from the GPT-2 paper and
config.json's fields in 64-bit numpy, and are those of the weights as stored. The
pickles are put together instruction by instruction, as torch.save does it
(protocol 2, a stored zip, numbers at multiples of 64 bytes).

Forms of the model `plain`, which transformers' logits are there of, have no logits of
their own. The tests read the results only.
"""

import json
import math
import os
import struct
import sys
import zipfile

import gguf
import numpy as np
from safetensors.numpy import load_file, save_file

IDS = [3, 17, 0, 36, 5, 5, 21, 9, 30, 12, 1, 8]

MATRICES = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
GGUF_NAMES = {"ln_1": "attn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output", "ln_2": "ffn_norm",
              "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down", "wte": "token_embd", "wpe": "position_embd",
              "ln_f": "output_norm", "lm_head": "output"}


def config(**options):
    base = {"model_type": "gpt2", "vocab_size": 37, "n_positions": 16, "n_embd": 50, "n_head": 2, "n_layer": 2,
            "n_inner": None, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5,
            "scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False, "tie_word_embeddings": True}
    return {**base, **options}


def weights(seed, c):
    """Weights large and irregular enough to tell one mistake from another."""
    rng = np.random.default_rng(seed)
    n, inner = c["n_embd"], c["n_inner"] or 4 * c["n_embd"]
    w = {"wte.weight": (c["vocab_size"], n), "wpe.weight": (c["n_positions"], n), "ln_f.weight": (n,), "ln_f.bias": (n,)}
    for i in range(c["n_layer"]):
        for name, a, b in [("attn.c_attn", n, 3 * n), ("attn.c_proj", n, n), ("mlp.c_fc", n, inner), ("mlp.c_proj", inner, n)]:
            w[f"h.{i}.{name}.weight"], w[f"h.{i}.{name}.bias"] = (a, b), (b,)
        for name in ("ln_1", "ln_2"):
            w[f"h.{i}.{name}.weight"], w[f"h.{i}.{name}.bias"] = (n,), (n,)
    if not c["tie_word_embeddings"]:
        w["lm_head.weight"] = (c["vocab_size"], n)
    return {name: (rng.normal(0, 0.2, shape) + ("ln_" in name and name.endswith("weight"))).astype(np.float32)
            for name, shape in w.items()}


def activate(name, x):
    if name == "relu":
        return np.maximum(x, 0)
    if name == "silu":
        return x / (1 + np.exp(-x))
    if name == "gelu":
        return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def logits(c, w):
    w = {name: value.astype(np.float64) for name, value in w.items()}
    heads, width = c["n_head"], c["n_embd"] // c["n_head"]

    def norm(x, name):
        mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return (x - mean) / np.sqrt(variance + c["layer_norm_epsilon"]) * w[name + ".weight"] + w[name + ".bias"]

    def linear(x, name):
        return x @ w[name + ".weight"] + w[name + ".bias"]

    t = len(IDS)
    x = w["wte.weight"][IDS] + w["wpe.weight"][:t]
    for i in range(c["n_layer"]):
        qkv = linear(norm(x, f"h.{i}.ln_1"), f"h.{i}.attn.c_attn").reshape(t, 3, heads, width)
        q, k, v = (qkv[:, part].transpose(1, 0, 2) for part in range(3))
        scores = q @ k.transpose(0, 2, 1)
        if c["scale_attn_weights"]:
            scores /= math.sqrt(width)
        if c["scale_attn_by_inverse_layer_idx"]:
            scores /= i + 1
        scores = np.where(np.tril(np.ones((t, t), bool)), scores, -np.inf)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        y = (scores / scores.sum(-1, keepdims=True)) @ v
        x = x + linear(y.transpose(1, 0, 2).reshape(t, -1), f"h.{i}.attn.c_proj")
        inner = activate(c["activation_function"], linear(norm(x, f"h.{i}.ln_2"), f"h.{i}.mlp.c_fc"))
        x = x + linear(inner, f"h.{i}.mlp.c_proj")
    head = w["wte.weight"] if c["tie_word_embeddings"] else w["lm_head.weight"]
    return norm(x, "ln_f") @ head.T


def prefixed(w):
    return {name if name.startswith("lm_head") else "transformer." + name: value for name, value in w.items()}


def split(w):
    """Two shards and their index, of the names that come first and the others."""
    names = sorted(w)
    return [names[:len(names) // 2], names[len(names) // 2:]]


def write_index(folder, stem, suffix, w, save):
    shards, where = split(w), {}
    for at, names in enumerate(shards):
        file = f"{stem}-{at + 1:05}-of-{len(shards):05}{suffix}"
        where |= {name: file for name in names}
        save({name: w[name] for name in names}, f"{folder}/{file}")
    with open(f"{folder}/{stem}{suffix}.index.json", "w") as file:
        json.dump({"metadata": {"total_size": sum(v.nbytes for v in w.values())}, "weight_map": where}, file, indent=1)
        file.write("\n")


class Pickle:
    """The instructions of torch.save for a dictionary of tensors."""

    def __init__(self):
        self.code = b"\x80\x02"
        self.memo = 0

    def put(self):
        self.code += b"q" + bytes([self.memo]) if self.memo < 256 else b"r" + struct.pack("<I", self.memo)
        self.memo += 1

    def text(self, text):
        self.code += b"X" + struct.pack("<I", len(text.encode())) + text.encode()
        self.put()

    def int(self, n):
        self.code += b"K" + bytes([n]) if n < 256 else b"M" + struct.pack("<H", n) if n < 65536 else b"J" + struct.pack("<i", n)

    def name(self, module, name):
        self.code += f"c{module}\n{name}\n".encode()
        self.put()

    def ints(self, values):
        if len(values) > 3:
            self.code += b"("
        for value in values:
            self.int(value)
        self.code += {0: b")", 1: b"\x85", 2: b"\x86", 3: b"\x87"}.get(len(values), b"t")
        if values:
            self.put()

    def ordered(self):
        self.name("collections", "OrderedDict")
        self.code += b")R"
        self.put()

    def tensor(self, key, kind, shape, strides, offset, numel):
        self.name("torch._utils", "_rebuild_tensor_v2")
        self.code += b"(("
        self.text("storage")
        self.name("torch", kind)
        self.text(key)
        self.text("cpu")
        self.int(numel)
        self.code += b"t"
        self.put()
        self.code += b"Q"
        self.int(offset)
        self.ints(shape)
        self.ints(strides)
        self.code += b"\x89"
        self.ordered()
        self.code += b"t"
        self.put()
        self.code += b"R"
        self.put()


def save_pickle(w, path, shared=(), turned=()):
    """`shared` tensors begin three numbers into their storage, `turned` ones lie column
    by column."""
    pickle, stored = Pickle(), []
    pickle.ordered()
    pickle.code += b"("
    for at, (name, value) in enumerate(w.items()):
        pickle.text(name)
        kind = {"float32": "FloatStorage", "float16": "HalfStorage", "int64": "LongStorage"}[value.dtype.name]
        lies = value.T if name in turned else value
        strides = [stride // value.itemsize for stride in np.ascontiguousarray(lies).strides]
        if name in turned:
            strides.reverse()
        offset = 3 if name in shared else 0
        numbers = np.concatenate([np.full(offset, 9, value.dtype), lies.ravel()])
        pickle.tensor(str(at), kind, list(value.shape), strides, offset, len(numbers))
        stored.append(numbers.tobytes())
    pickle.code += b"u}"
    pickle.put()
    pickle.text("_metadata")
    pickle.ordered()
    pickle.code += b"sb."
    top = os.path.basename(path).removesuffix(".bin")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        def add(name, data):
            info = zipfile.ZipInfo(f"{top}/{name}", (1980, 1, 1, 0, 0, 0))
            # The extra field that brings the data to a multiple of 64.
            begin = archive.fp.tell() + 30 + len(info.filename) + 4
            padding = -begin % 64
            info.extra = b"FB" + struct.pack("<H", padding) + b"Z" * padding
            archive.writestr(info, data)
        add("data.pkl", pickle.code)
        add("byteorder", b"little")
        for at, data in enumerate(stored):
            add(f"data/{at}", data)
        add("version", b"3\n")


def save_gguf(c, w, path, kind, **keys):
    """As llama.cpp's converter writes GPT-2; `kind` is that of the matrices. What is
    stored, dequantised, in the layout of transformers."""
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_block_count(c["n_layer"])
    writer.add_context_length(c["n_positions"])
    writer.add_embedding_length(c["n_embd"])
    writer.add_feed_forward_length(c["n_inner"] or 4 * c["n_embd"])
    writer.add_head_count(c["n_head"])
    writer.add_layer_norm_eps(c["layer_norm_epsilon"])
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"t{i}".encode() for i in range(c["vocab_size"])])
    for key, value in keys.items():
        key = "continuo." + key
        add = {bool: writer.add_bool, int: writer.add_uint32, str: writer.add_string}[type(value)]
        add(key, value)
    stored = {}
    for name, value in w.items():
        path_, _, what = name.rpartition(".")
        block, part = path_.split(".", 2)[1:] if path_.startswith("h.") else (None, path_)
        called = (f"blk.{block}." if block else "") + GGUF_NAMES[part] + "." + what
        turned = name.endswith(MATRICES)
        data = np.ascontiguousarray(value.T if turned else value).astype(np.float32)
        if kind is not None and value.ndim == 2 and part != "wpe":
            raw = gguf.quants.quantize(data, kind)
            writer.add_tensor(called, raw, raw_dtype=kind)
            data = gguf.quants.dequantize(raw, kind)
        else:
            writer.add_tensor(called, data)
        stored[name] = data.T if turned else data
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return stored


def write_config(folder, c):
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/config.json", "w") as file:
        json.dump(c, file, indent=1, sort_keys=True)
        file.write("\n")


def write_expected(folder, c, w):
    with open(f"{folder}/expected.json", "w") as file:
        json.dump({"ids": IDS, "logits": [[round(v, 6) for v in row] for row in logits(c, w).tolist()]}, file)
        file.write("\n")


def half(w):
    return {name: value.astype(np.float16) for name, value in w.items()}


def main(out):
    forms = f"{out}/forms"
    # The same weights as `plain`, f32.
    plain = load_file(f"{out}/plain/model.safetensors")
    with open(f"{out}/plain/config.json") as file:
        c = {**config(), **json.load(file)}
    bare = {name.removeprefix("transformer."): value for name, value in plain.items()}
    # That this program and transformers agree.
    with open(f"{out}/plain/expected.json") as file:
        assert np.abs(logits(c, bare) - np.array(json.load(file)["logits"])).max() < 1e-4
    write_config(f"{forms}/sharded", c)
    write_index(f"{forms}/sharded", "model", ".safetensors", plain, save_file)
    write_config(f"{forms}/pickle", c)
    save_pickle({**plain, "transformer.h.0.attn.bias": np.ones((1, 1, 16, 16), np.int64)},
                f"{forms}/pickle/pytorch_model.bin")
    write_config(f"{forms}/sharded-pickle", c)
    write_index(f"{forms}/sharded-pickle", "pytorch_model", ".bin", plain, save_pickle)
    os.makedirs(f"{forms}/gguf", exist_ok=True)
    save_gguf(c, {**bare, "lm_head.weight": bare["wte.weight"]}, f"{forms}/gguf/plain.gguf", None,
              encoding="beat", encoding_version=1)

    # Bare names, an inner width, ReLU, scores scaled by the block's number; f16, and the
    # same as GGUF.
    c = config(activation_function="relu", n_inner=24, scale_attn_by_inverse_layer_idx=True)
    w = half(weights(11, c))
    write_config(f"{forms}/relu", c)
    save_file(w, f"{forms}/relu/model.safetensors")
    write_expected(f"{forms}/relu", c, w)
    save_gguf(c, w, f"{forms}/relu.gguf", gguf.GGMLQuantizationType.F16, activation_function="relu",
              scale_attn_by_inverse_layer_idx=True)

    # SiLU, pickled: a tensor that begins within its storage, and two that lie turned.
    c = config(activation_function="silu", n_inner=28, layer_norm_epsilon=1e-3)
    w = half(weights(12, c))
    write_config(f"{forms}/silu", c)
    save_pickle(w, f"{forms}/silu/pytorch_model.bin", shared=["h.0.mlp.c_fc.bias"],
                turned=["h.1.attn.c_attn.weight", "wte.weight"])
    write_expected(f"{forms}/silu", c, w)

    # GELU by the error function, a head of its own, in shards.
    c = config(activation_function="gelu", n_inner=30, tie_word_embeddings=False, scale_attn_weights=False)
    w = half(weights(13, c))
    write_config(f"{forms}/gelu", c)
    write_index(f"{forms}/gelu", "model", ".safetensors", prefixed(w), save_file)
    write_expected(f"{forms}/gelu", c, w)

    # Blocks of 32 bytes, with a head of its own.
    c = config(n_embd=64, n_inner=32, tie_word_embeddings=False)
    os.makedirs(f"{forms}/q8", exist_ok=True)
    stored = save_gguf(c, weights(14, c), f"{forms}/q8/q8.gguf", gguf.GGMLQuantizationType.Q8_0)
    write_expected(f"{forms}/q8", c, stored)


if __name__ == "__main__":
    main(sys.argv[1])
