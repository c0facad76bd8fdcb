"""Writes the model directory in the hub layout. `python export.py CHECKPOINT MODEL_DIR`

Each file appears under its name only when complete.
"""
import json
import os
import sys

import torch
from safetensors.torch import save_file

from model import CONFIG, Granite
from prompts import EOS, PAD

TEMPLATE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "chat_template.jinja")


def put(path, data):
    with open(path + ".tmp", "wb") as f:
        f.write(data)
    os.replace(path + ".tmp", path)


def export(model, tok, out):
    c, eos = CONFIG, tok.token_to_id(EOS)
    ids = dict(bos_token_id=eos, eos_token_id=eos, pad_token_id=tok.token_to_id(PAD))
    config = dict(
        architectures=["GraniteForCausalLM"], model_type="granite", vocab_size=tok.get_vocab_size(),
        **{k: v for k, v in c.items() if k != "rope_theta"},
        rope_theta=c["rope_theta"], rope_parameters=dict(rope_type="default", rope_theta=c["rope_theta"]),
        head_dim=c["hidden_size"] // c["num_attention_heads"],
        hidden_act="silu", attention_bias=False, mlp_bias=False, attention_dropout=0.0, initializer_range=0.02,
        tie_word_embeddings=True, use_cache=True, dtype="bfloat16", torch_dtype="bfloat16", **ids,
    )
    # Greedy unless a program asks for more: most of what pico does has one right answer.
    generation = dict(do_sample=False, max_new_tokens=256, **ids)
    weights = {k: v.detach().to(torch.bfloat16).contiguous() for k, v in model.state_dict().items()}
    os.makedirs(out, exist_ok=True)
    save_file(weights, os.path.join(out, "model.safetensors.tmp"), metadata={"format": "pt"})
    os.chmod(os.path.join(out, "model.safetensors.tmp"), 0o644)
    os.replace(os.path.join(out, "model.safetensors.tmp"), os.path.join(out, "model.safetensors"))
    put(os.path.join(out, "config.json"), (json.dumps(config, indent=2) + "\n").encode())
    put(os.path.join(out, "generation_config.json"), (json.dumps(generation, indent=2) + "\n").encode())
    with open(TEMPLATE, "rb") as f:
        put(os.path.join(out, "chat_template.jinja"), f.read())


if __name__ == "__main__":
    from tokenizers import Tokenizer

    tok = Tokenizer.from_file(os.path.join(sys.argv[2], "tokenizer.json"))
    model = Granite(tok.get_vocab_size())
    model.load_state_dict(torch.load(sys.argv[1])["model"])
    export(model, tok, sys.argv[2])
