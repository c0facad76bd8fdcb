"""Mixes the tasks. `python data.py show` prints samples, `python data.py heldout PATH` writes the held-out set."""
import json
import sys

from tasks import chat, classify, extract, judge, mail, repeat, sums, tools
from words import Values

MIX = [(extract, 34), (judge, 38), (mail, 10), (classify, 12), (tools, 14), (sums, 12), (chat, 2), (repeat, 4)]
SEED_TRAIN, SEED_HELD = 1, 20_000_003
HELD = [extract, classify, judge, tools, sums, mail]
PER_TASK = 150


def stream(seed, heldout=False):
    v = Values(seed, heldout)
    mods, weights = zip(*MIX)
    while True:
        yield v.r.choices(mods, weights)[0].make(v)


def heldout(seed=SEED_HELD, per_task=PER_TASK):
    for mod in HELD:
        v = Values(seed, True)
        for i in range(per_task):
            e = mod.make(v) if mod is not mail else mail.make(v, quick=i % 5 == 0)
            yield {k: x for k, x in e.items() if x is not None and k != "kind"}


if __name__ == "__main__":
    if sys.argv[1] == "heldout":
        with open(sys.argv[2], "w") as out:
            for e in heldout():
                out.write(json.dumps(e, ensure_ascii=False) + "\n")
    else:
        from prompts import chat as render

        for e, _ in zip(stream(7), range(int(sys.argv[2]) if len(sys.argv) > 2 else 12)):
            print(f"=== {e['task']}\n{render(e['messages'], e.get('tools'))}>>> {e['answer']}")
