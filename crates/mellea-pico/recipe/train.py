"""Trains pico on the CPU. `python train.py RUN_DIR MODEL_DIR --minutes 75` (resumes when RUN_DIR has a checkpoint)

Muon for the matrices inside the layers, AdamW for embeddings and norms. Forward and backward run on a bf16 copy,
the weights themselves stay f32. The loss covers only the answers.
"""
import argparse
import math
import os
import time

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from data import SEED_TRAIN, stream
from export import export
from model import Granite
from prompts import chat

FREE = 0.4  # weight of letters: their wording is free, which is mostly noise in the gradient


def batches(tok, seed, tokens, pool=1536):
    """Batches of similar length: (ids, positions that predict an answer token, those tokens, their weights)."""
    eos, pad = tok.token_to_id("<|end_of_text|>"), tok.token_to_id("<|pad|>")
    data, rng = stream(seed), np.random.default_rng(seed)
    while True:
        ex = [next(data) for _ in range(pool)]
        enc = tok.encode_batch([chat(e["messages"], e.get("tools")) for e in ex])
        ans = tok.encode_batch([e["answer"] for e in ex])
        rows = [(p.ids, a.ids + [eos], FREE if e["task"] == "email" else 1.0) for p, a, e in zip(enc, ans, ex)]
        rows.sort(key=lambda r: len(r[0]) + len(r[1]))
        groups, cur = [], []
        for r in rows:
            n = len(r[0]) + len(r[1]) - 1
            if cur and n * (len(cur) + 1) > tokens:
                groups.append(cur)
                cur = []
            cur.append(r)
        groups.append(cur)
        for g in rng.permutation(len(groups)):
            rs = groups[g]
            t = max(len(p) + len(a) for p, a, _ in rs) - 1
            ids = torch.full((len(rs), t), pad)
            keep, target, weight = [], [], []
            for i, (p, a, w) in enumerate(rs):
                ids[i, : len(p) + len(a) - 1] = torch.tensor(p + a[:-1])
                keep.extend(range(i * t + len(p) - 1, i * t + len(p) + len(a) - 1))
                target.extend(a)
                weight.extend([w * len(a) ** -0.7] * len(a))  # a label or a sum counts more than one word of a letter
            yield ids, torch.tensor(keep), torch.tensor(target), torch.tensor(weight)


def orthogonal(g):
    """Newton-Schulz iteration on a stack of matrices: all singular values towards 1."""
    x = g.bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for a, b, c in ((4.0848, -6.8946, 2.9270), (3.9505, -6.3029, 2.6377), (3.7418, -5.5913, 2.3037), (2.8769, -3.1427, 1.2046), (2.8366, -3.0525, 1.2012)):
        s = x @ x.mT
        x = a * x + (b * s + c * s @ s) @ x
    return (x.mT if tall else x).float()


class Muon:
    def __init__(self, params, momentum=0.95, decay=0.1):
        self.groups = {}
        for p in params:
            self.groups.setdefault(tuple(p.shape), []).append(p)
        self.buf = {s: torch.zeros(len(ps), *s) for s, ps in self.groups.items()}
        self.momentum, self.decay = momentum, decay

    @torch.no_grad()
    def step(self, lr):
        for shape, ps in self.groups.items():
            g, buf = torch.stack([p.grad for p in ps]), self.buf[shape]
            buf.lerp_(g, 1 - self.momentum)
            u = orthogonal(g.lerp(buf, self.momentum)) * max(1, shape[0] / shape[1]) ** 0.5
            for p, x in zip(ps, u):
                p.mul_(1 - lr * self.decay).sub_(x, alpha=lr)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("run")
    ap.add_argument("model")
    ap.add_argument("--minutes", type=float, default=75)
    ap.add_argument("--tokens", type=int, default=5120)
    ap.add_argument("--muon", type=float, default=0.006)
    ap.add_argument("--adam", type=float, default=0.002)
    ap.add_argument("--seed", type=int, default=SEED_TRAIN)
    a = ap.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(a.seed)
    os.makedirs(a.run, exist_ok=True)
    ckpt = os.path.join(a.run, "last.pt")

    tok = Tokenizer.from_file(os.path.join(a.model, "tokenizer.json"))
    model = Granite(tok.get_vocab_size())
    fast = Granite(tok.get_vocab_size()).bfloat16()
    run = torch.compile(fast, dynamic=True)
    body = [p for n, p in model.named_parameters() if n.endswith("_proj.weight")]
    rest = [p for n, p in model.named_parameters() if not n.endswith("_proj.weight")]
    emb = model.model.embed_tokens.weight
    muon = Muon(body)
    adam = torch.optim.AdamW(rest, lr=a.adam, betas=(0.9, 0.98), eps=1e-4, weight_decay=0.0)
    step = seen = part = 0
    spent = 0.0
    if os.path.exists(ckpt):
        s = torch.load(ckpt)
        model.load_state_dict(s["model"])
        muon.buf = s["muon"]
        adam.load_state_dict(s["adam"])
        step, seen, spent, part = s["step"], s["seen"], s["spent"], s["part"] + 1
    data = batches(tok, a.seed + 1000 * part, a.tokens)

    def save():
        state = dict(model=model.state_dict(), muon=muon.buf, adam=adam.state_dict(), step=step, seen=seen, spent=spent, part=part)
        torch.save(state, ckpt + ".tmp")
        os.replace(ckpt + ".tmp", ckpt)

    if not step:
        export(model, tok, a.model)  # a valid, untrained model right away
    losses, begin, saved = [], time.time(), time.time()
    before = spent
    while True:
        # the schedule runs on the clock: warm-up, flat, then down to zero over the last 48 %
        spent = before + time.time() - begin
        done = spent / 60 / a.minutes
        if done >= 1:
            break
        lr = min(1, (step + 1) / 60) * min(1, (1 - done) / 0.48)
        with torch.no_grad():
            torch._foreach_copy_(list(fast.parameters()), list(model.parameters()))
        fast.zero_grad()
        ids, keep, target, weight = next(data)
        loss = (F.cross_entropy(run(ids, keep).float(), target, reduction="none") * weight).sum() / weight.sum()
        loss.backward()
        for p, q in zip(model.parameters(), fast.parameters()):
            p.grad = q.grad.float()
        torch.nn.utils.clip_grad_norm_(rest, 1.0)
        muon.step(a.muon * lr)
        adam.param_groups[0]["lr"] = a.adam * lr
        adam.step()
        with torch.no_grad():  # a shift common to all rows changes no probability but would drown the inputs
            emb.sub_(emb.mean(0))
        step, seen = step + 1, seen + ids.numel()
        losses.append(loss.item())
        if step % 50 == 0:
            print(f"step {step} loss {np.mean(losses[-50:]):.4f} lr {lr:.3f} tokens {seen / 1e6:.2f}M minutes {spent / 60:.1f} tok/s {seen / spent:.0f}", flush=True)
        if time.time() - saved > 120:
            save()
            saved = time.time()
    save()
    export(model, tok, a.model)
    print(f"done: step {step}, {seen / 1e6:.1f}M tokens, {spent / 60:.1f} minutes, loss {np.mean(losses[-100:]):.4f}")


if __name__ == "__main__":
    main()
