"""Writes the models under tests/fixtures and the logits, losses and gradients
that PyTorch and transformers compute from them (eager attention, f32).

    python fixtures.py ../fixtures

Needs torch, transformers and safetensors. The tests read the results only.
"""

import json
import os
import sys

import torch
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2LMHeadModel

IDS = [3, 17, 0, 36, 5, 5, 21, 9, 30, 12, 1, 8]
IGNORED = 2**32 - 1


def model(seed, **options):
    torch.manual_seed(seed)
    config = GPT2Config(vocab_size=37, n_positions=16, bos_token_id=0, eos_token_id=0, resid_pdrop=0.0,
                        embd_pdrop=0.0, attn_pdrop=0.0, attn_implementation="eager", **options)
    net = GPT2LMHeadModel(config).eval()
    # Fresh weights are too small and too regular to tell one mistake from another.
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return net


def tensors(net, prefix, dtype, masks):
    """The state as a checkpoint would hold it, tied weights stored once."""
    out = {}
    for name, value in net.state_dict().items():
        if name == "lm_head.weight":
            if net.config.tie_word_embeddings:
                continue
        elif not prefix:
            name = name.removeprefix("transformer.")
        out[name] = value.to(dtype).contiguous()
    if masks:
        n = net.config.n_positions
        start = "transformer." if prefix else ""
        for layer in range(net.config.n_layer):
            out[f"{start}h.{layer}.attn.bias"] = torch.tril(torch.ones(n, n, dtype=torch.uint8)).view(1, 1, n, n)
            out[f"{start}h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    return out


def write(folder, net, prefix=True, dtype=torch.float32, masks=False):
    os.makedirs(folder, exist_ok=True)
    stored = tensors(net, prefix, dtype, masks)
    save_file(stored, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(net.config.to_diff_dict(), file, indent=1, sort_keys=True)
        file.write("\n")
    # The reference computes in f32 from the weights as stored.
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(parameter.to(dtype).float())
        logits = net(torch.tensor([IDS])).logits[0]
    with open(os.path.join(folder, "expected.json"), "w") as file:
        json.dump({"ids": IDS, "logits": [[round(v, 6) for v in row] for row in logits.tolist()]}, file)
        file.write("\n")


def training(folder, net):
    """Loss and the gradient of every tensor for a batch with ignored targets."""
    torch.manual_seed(7)
    ids = torch.randint(0, 37, (2, 8))
    targets = torch.randint(0, 37, (2, 8))
    targets[0, 6:] = -100
    net.zero_grad()
    logits = net(ids).logits
    loss = torch.nn.functional.cross_entropy(logits.view(-1, 37), targets.view(-1))
    loss.backward()
    gradients = {name.replace("transformer.", ""): p.grad.contiguous() for name, p in net.named_parameters()}
    norm = torch.sqrt(sum((g.double() ** 2).sum() for g in gradients.values())).item()
    save_file(gradients, os.path.join(folder, "gradients.safetensors"))
    with open(os.path.join(folder, "training.json"), "w") as file:
        json.dump({
            "ids": ids.flatten().tolist(),
            "targets": [t if t >= 0 else IGNORED for t in targets.flatten().tolist()],
            "loss": loss.item(),
            "norm": norm,
            "steps": steps(net, ids, targets),
        }, file)
        file.write("\n")


def steps(net, ids, targets):
    """Losses before each of five AdamW steps at a constant rate, gradients clipped to norm 1."""
    decayed = [p for n, p in net.named_parameters() if p.dim() == 2 and "wte" not in n and "wpe" not in n and "lm_head" not in n]
    chosen = {id(p) for p in decayed}
    rest = [p for p in net.parameters() if id(p) not in chosen]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}],
                                  lr=0.01, betas=(0.9, 0.95), eps=1e-8)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(ids).logits.view(-1, 37), targets.view(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


def main(out):
    plain = model(1, n_embd=24, n_head=3, n_layer=2)
    write(f"{out}/plain", plain)
    training(f"{out}/plain", plain)
    # Head width 5, separate head, n_inner, no prefix, the old mask buffers, f16.
    odd = model(2, n_embd=15, n_head=3, n_layer=2, n_inner=28, tie_word_embeddings=False,
                scale_attn_by_inverse_layer_idx=True)
    write(f"{out}/odd", odd, prefix=False, dtype=torch.float16, masks=True)
    training(f"{out}/odd", odd)
    other = model(3, n_embd=16, n_head=2, n_layer=1, activation_function="gelu", scale_attn_weights=False)
    write(f"{out}/other", other, dtype=torch.bfloat16)


if __name__ == "__main__":
    main(sys.argv[1])
