"""Figures on the held-out set, with transformers. `python evaluate.py MODEL_DIR EVAL_DIR [--show N]`"""
import argparse
import json
import os
import random
from collections import defaultdict

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from prompts import instruction, judge
from tasks.mail import holds
from words import Values

LOWER, GREET, RIVALS = "Use only lower-case letters.", "The email should have a salutation.", "Do not mention competitors."


class Pico:
    def __init__(self, path, dtype=torch.float32):
        self.tok = AutoTokenizer.from_pretrained(path)
        self.model = AutoModelForCausalLM.from_pretrained(path, dtype=dtype).eval()

    @torch.no_grad()
    def answer(self, chats, temperature=0.0, batch=64):
        """One answer per chat; `chats` holds (messages, tools) pairs."""
        texts = [self.tok.apply_chat_template(m, tools=t, add_generation_prompt=True, tokenize=False) for m, t in chats]
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        out = [None] * len(texts)
        how = dict(do_sample=True, temperature=temperature, top_k=0) if temperature else dict(do_sample=False, temperature=None)
        for s in range(0, len(order), batch):
            idx = order[s : s + batch]
            enc = self.tok([texts[i] for i in idx], return_tensors="pt", padding=True, add_special_tokens=False)
            gen = self.model.generate(input_ids=enc["input_ids"], attention_mask=enc["attention_mask"], max_new_tokens=120, **how)
            for i, row in zip(idx, gen[:, enc["input_ids"].shape[1] :]):
                row = row.tolist()
                row = row[: row.index(self.tok.eos_token_id)] if self.tok.eos_token_id in row else row
                out[i] = self.tok.decode(row)
        return out

    def ask(self, prompts, temperature=0.0):
        return self.answer([([{"role": "user", "content": p}], None) for p in prompts], temperature)


def verdict(text):
    try:
        v = json.loads(text)
        return {"reason": v["reason"], "verdict": v["verdict"]}
    except (ValueError, KeyError, TypeError):
        return {"reason": text, "verdict": "invalid"}


def correct(e, got):
    if e["task"] == "judge":
        return verdict(got).get("verdict") == json.loads(e["answer"])["verdict"]
    if e["task"] == "email":
        if "schema" in e:
            try:
                got = json.loads(got)["result"]
            except (ValueError, KeyError):
                return False
        keys = dict(name="n", event="e", day="d", price="x")
        return all(
            holds(c["check"], got, {keys[c["check"]]: c["arg"]} if c["check"] in keys else {}, c["arg"]) in (True, None)
            for c in e["checks"]
        )
    return got == e["answer"]


def quickstart(pico, n=100, attempts=5, seed=5):
    """The e-mail loop: sample, check, repair. Pico itself is the judge of two of the three requirements."""
    v = Values(seed, True)
    names = [v.first() for _ in range(n)]
    rng = random.Random(seed)
    open_, failed = list(range(n)), {i: [] for i in range(n)}
    first, solved, disagree, judged = 0, [], 0, 0
    for k in range(attempts):
        prompts = [
            instruction(f"Write an email to {names[i]} inviting them to the launch.", requirements=[GREET, LOWER], failed=failed[i])
            for i in open_
        ]
        mails = pico.ask(prompts, 0.8)
        asked = [(j, r) for j in range(len(open_)) for r in (GREET, RIVALS)]
        fence = lambda: "fence-" + "".join(rng.choice("0123456789abcdef") for _ in range(12))
        said = pico.ask([judge(fence(), mails[j], r) for j, r in asked])
        reasons = defaultdict(list)
        for (j, r), s in zip(asked, said):
            s = verdict(s)
            truth = holds("salutation", mails[j], {}, None) if r == GREET else True
            judged += 1
            disagree += (s["verdict"] == "yes") != truth
            if s["verdict"] != "yes":
                reasons[j].append(s["reason"])
        for j, m in enumerate(mails):
            if m != m.lower():
                reasons[j].append(rng.choice((LOWER, "The text has upper-case letters.")))
        still = []
        for j, i in enumerate(open_):
            if reasons[j]:
                failed[i] = reasons[j]
                still.append(i)
        open_ = still
        solved.append((n - len(open_)) / n)
        if not open_:
            break
    return solved, 1 - disagree / judged


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("model")
    ap.add_argument("eval")
    ap.add_argument("--show", type=int, default=0)
    ap.add_argument("--per-task", type=int, default=10**6)
    a = ap.parse_args()
    torch.manual_seed(0)
    pico = Pico(a.model)
    print("| task | set | n | correct |\n|---|---|---|---|")
    for name in ("heldout", "handwritten"):
        by = defaultdict(list)
        with open(os.path.join(a.eval, name + ".jsonl")) as f:
            for e in map(json.loads, f):
                if len(by[e["task"]]) < a.per_task:
                    by[e["task"]].append(e)
        for task, es in by.items():
            got = pico.answer([(e["messages"], e.get("tools")) for e in es])
            ok = [correct(e, g) for e, g in zip(es, got)]
            print(f"| {task} | {name} | {len(es)} | {100 * sum(ok) / len(es):.1f} % |", flush=True)
            wrong = [(e, g) for e, g, k in zip(es, got, ok) if not k]
            for e, g in wrong[: a.show]:
                print(f"--- {e['messages'][-1]['content']}\nWANT {e['answer']}\nGOT  {g}")
    solved, agree = quickstart(pico)
    print(f"| quickstart e-mail, attempt 1 | temperature 0.8 | 100 | {100 * solved[0]:.0f} % |")
    print(f"| quickstart e-mail, within {len(solved)} attempts | temperature 0.8 | 100 | {100 * solved[-1]:.0f} % |")
    print(f"| quickstart e-mail, judge agrees with code | temperature 0.8 | | {100 * agree:.1f} % |")


if __name__ == "__main__":
    main()
