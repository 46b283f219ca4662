"""Loads an exported model with transformers and prints its mean loss on the ids
of a JSON file `{"ids": [[...], ...], "targets": [[...], ...]}`, ignored targets
being 4294967295, to be compared with what the trainer printed.

    python check_export.py MODEL_FOLDER BATCH.json
"""

import json
import sys

import torch
from transformers import AutoModelForCausalLM

model, info = AutoModelForCausalLM.from_pretrained(
    sys.argv[1], attn_implementation="eager", dtype=torch.float32, output_loading_info=True)
assert not any(info.values()), info
batch = json.load(open(sys.argv[2]))
ids, targets = torch.tensor(batch["ids"]), torch.tensor(batch["targets"])
targets[targets == 2**32 - 1] = -100
with torch.no_grad():
    logits = model.eval()(ids).logits
print(torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten()).item())
