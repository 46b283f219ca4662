"""Trains on a data set that `continuo dataset build` made, on any number of processes and machines
that Hugging Face Accelerate knows, and writes a model folder that Continuo plays. See README.md."""

import argparse
import json
import math
import pathlib
import shutil

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from datasets import load_dataset
from torch.utils.data import DataLoader
from transformers import GPT2Config, GPT2LMHeadModel, get_cosine_schedule_with_warmup

# As `continuo train --size`: layers, heads, width.
SIZES = {"nano": (2, 2, 64), "tiny": (4, 4, 128), "small": (6, 8, 256), "medium": (8, 8, 512), "large": (12, 12, 768)}
# What is not learned from; PyTorch's cross-entropy passes over it.
IGNORED = -100


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=pathlib.Path, help="folder of the data set")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="where the model goes")
    parser.add_argument("--base", type=pathlib.Path, help="model folder to fine-tune")
    parser.add_argument("--size", choices=SIZES, default="small", help="size of a new model")
    parser.add_argument("--context", type=int, default=512, help="ids a row at most")
    parser.add_argument("--epochs", type=float, default=5)
    parser.add_argument("--steps", type=int, help="in place of epochs")
    parser.add_argument("--batch", type=int, default=4, help="rows a process and step")
    parser.add_argument("--accumulate", type=int, default=8, help="steps that make one update")
    parser.add_argument("--lr", type=float, default=5e-5)
    parser.add_argument("--warmup", type=int, default=0, help="updates until the highest rate")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def collate(rows, context):
    """Rows of one length: what fills up is neither looked at nor learned."""
    rows = [torch.tensor(row["input_ids"][:context]) for row in rows]
    longest = max(len(row) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    labels = torch.full_like(ids, IGNORED)
    mask = torch.zeros_like(ids)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = row
        labels[place, : len(row)] = row
        mask[place, : len(row)] = 1
    return {"input_ids": ids, "labels": labels, "attention_mask": mask}


def new_model(args, spelling):
    if args.base:
        return GPT2LMHeadModel.from_pretrained(args.base)
    layers, heads, width = SIZES[args.size]
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=spelling["vocab_size"], n_positions=args.context, n_layer=layers, n_head=heads, n_embd=width,
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0,
        )
    )


def mean_loss(model, batches, accelerator):
    """The mean loss over all processes' rows, in nats an id."""
    model.eval()
    total = torch.zeros(2, device=accelerator.device)
    with torch.no_grad():
        for batch in batches:
            count = (batch["labels"][:, 1:] != IGNORED).sum()
            total += torch.stack([model(**batch).loss * count, count.float()])
    model.train()
    loss, count = accelerator.reduce(total, "sum").tolist()
    return loss / max(count, 1.0)


def main():
    args = arguments()
    accelerator = Accelerator(gradient_accumulation_steps=args.accumulate)
    set_seed(args.seed)
    spelling = json.loads((args.data / "continuo.json").read_text())
    data = load_dataset(str(args.data))

    def batches(part, shuffle):
        rows = data[part].select_columns(["input_ids"])
        return DataLoader(rows, args.batch, shuffle=shuffle, collate_fn=lambda rows: collate(rows, args.context))

    model = new_model(args, spelling)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr)
    model, optimizer, train, test = accelerator.prepare(
        model, optimizer, batches("train", True), batches("test", False)
    )
    updates = args.steps or math.ceil(args.epochs * len(train) / args.accumulate)
    # Accelerate steps the schedule once a process.
    schedule = accelerator.prepare(
        get_cosine_schedule_with_warmup(
            optimizer, args.warmup * accelerator.num_processes, updates * accelerator.num_processes
        )
    )

    done = 0
    while done < updates:
        for batch in train:
            with accelerator.accumulate(model):
                loss = model(**batch).loss
                accelerator.backward(loss)
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
            if accelerator.sync_gradients:
                done += 1
                if done % 50 == 0 or done == updates:
                    accelerator.print(f"update {done} of {updates}, loss {loss.item():.3f}")
                if done == updates:
                    break

    accelerator.print(f"held-out loss {mean_loss(model, test, accelerator):.4f}")
    if accelerator.is_main_process:
        accelerator.unwrap_model(model).save_pretrained(args.out)
        shutil.copy(args.data / "continuo.json", args.out / "continuo.json")
        accelerator.print(f"the model is in {args.out}")
    accelerator.end_training()


if __name__ == "__main__":
    main()
