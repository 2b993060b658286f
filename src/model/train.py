"""Trains the byte-level Llama that the demo speaks with, and writes its Hugging Face folder: python train.py FOLDER"""

import argparse
import json
import math
import pathlib
import platform
import time

import torch
from torch.nn import functional

import llama
import safetensors
from stories import Storyteller
from tokenizer import END, TOKENIZER, encode

SEED = 1
BATCH = 4
LENGTH = llama.CONFIG["max_position_embeddings"]
PEAK_RATE = 4e-3
WARM_UP = 100


def batches():
    """Ids [BATCH][LENGTH + 1] without end: each row begins with a story, further ones fill it."""
    tell = Storyteller(SEED)
    while True:
        rows = []
        for _ in range(BATCH):
            row = [END]
            while len(row) <= LENGTH:
                row += encode(tell.story()) + [END]
            rows.append(row[:LENGTH + 1])
        yield torch.tensor(rows)


def rate(step, steps):
    """Linear up to the peak, then a cosine down to a tenth of it."""
    if step < WARM_UP:
        return PEAK_RATE * (step + 1) / WARM_UP
    return PEAK_RATE * (0.55 + 0.45 * math.cos(math.pi * (step - WARM_UP) / (steps - WARM_UP)))


def train(steps):
    torch.manual_seed(SEED)
    p = llama.parameters()
    for tensor in p.values():
        tensor.requires_grad_()
    optimizer = torch.optim.AdamW([{"params": [t for t in p.values() if t.dim() == 2], "weight_decay": 0.1},
                                   {"params": [t for t in p.values() if t.dim() == 1], "weight_decay": 0.0}], betas=(0.9, 0.95))
    start = time.time()
    for step, ids in zip(range(steps), batches()):
        for group in optimizer.param_groups:
            group["lr"] = rate(step, steps)
        loss = functional.cross_entropy(llama.logits(p, ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(p.values(), 1.0)
        optimizer.step()
        if step % 50 == 0 or step == steps - 1:
            print(f"step {step}  loss {loss.item():.4f} nats a byte  {time.time() - start:.0f} s", flush=True)
    return {name: tensor.detach().half() for name, tensor in p.items()}


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=pathlib.Path)
    options.add_argument("--steps", type=int, default=4000)
    options = options.parse_args()
    torch.set_num_threads(1)
    count = sum(tensor.numel() for tensor in llama.parameters().values())
    print(f"python {platform.python_version()}, torch {torch.__version__}, {count} parameters")
    weights = train(options.steps)
    options.folder.mkdir(parents=True, exist_ok=True)
    safetensors.write(options.folder / "model.safetensors", weights)
    for name, content in (("config.json", llama.CONFIG), ("tokenizer.json", TOKENIZER),
                          ("generation_config.json", {"bos_token_id": END, "eos_token_id": END})):
        (options.folder / name).write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
