"""Texts that the model was not trained on, and what it must say in fp32: python expected.py FOLDER EXPECTED.json

Writes FOLDER/calibration.txt and FOLDER/held-out.txt, a story a line, and EXPECTED.json, what the Java decoder's tests compare with.
"""

import argparse
import json
import pathlib

import torch

import llama
import safetensors
from stories import stories
from tokenizer import END, decode, encode

CALIBRATION_SEED, HELD_OUT_SEED = 2, 3
PROMPTS = ["", "Once there was a silver marlin called Mara.", "A storm came up"]


def greedy(p, prompt):
    """Ids that follow the prompt, up to the end of the story or of what the model was made for."""
    ids = [END] + encode(prompt)
    start = len(ids)
    while len(ids) < llama.CONFIG["max_position_embeddings"]:
        following = int(llama.logits(p, torch.tensor([ids]))[0, -1].argmax())
        ids.append(following)
        if following == END:
            break
    return ids[start:]


def log_probability(p, story):
    """Sum over the bytes of a story and its end, and their number."""
    ids = [END] + encode(story) + [END]
    scores = torch.log_softmax(llama.logits(p, torch.tensor([ids[:-1]]))[0].double(), -1)
    return float(scores.gather(1, torch.tensor(ids[1:])[:, None]).sum()), len(ids) - 1


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=pathlib.Path)
    options.add_argument("expected", type=pathlib.Path)
    options = options.parse_args()
    torch.set_num_threads(1)
    p = {name: tensor.float() for name, tensor in safetensors.read(options.folder / "model.safetensors").items()}
    held_out = stories(HELD_OUT_SEED, 8)
    for name, lines in (("calibration.txt", stories(CALIBRATION_SEED, 12)), ("held-out.txt", held_out)):
        (options.folder / name).write_text("\n".join(lines) + "\n")
    with torch.no_grad():
        sums = [log_probability(p, story) for story in held_out]
        mean = sum(s for s, _ in sums) / sum(n for _, n in sums)
        said = {prompt: greedy(p, prompt) for prompt in PROMPTS}
    for prompt, ids in said.items():
        print(f"{prompt!r}: {decode(ids)}")
    print(f"mean log-probability of the held-out bytes {mean:.5f} nats")
    options.expected.write_text(json.dumps({"mean_log_probability": mean, "greedy": [
        {"prompt": prompt, "ids": ids} for prompt, ids in said.items()]}) + "\n")


if __name__ == "__main__":
    main()
