"""Saying a text again, as it is or in lower case: dense practice in copying, which all other tasks need."""
from prompts import STR, compact, instruction, obj

SAME = ["Repeat the text.", "Return the text.", "Say it again.", "Copy the text.", "Echo the input."]
LOWER = ["Repeat the text in lower case.", "Return the text in lower case.", "Write the text in lower-case letters."]


def make(v):
    kinds = (v.person, v.city, v.product, v.event, v.company, v.day, lambda: str(v.num(0, 9999)), lambda: str(v.num(0, 99)))
    text = v.r.choice((" ", " ", ", ", " and ", "-")).join(v.r.choice(kinds)() for _ in range(v.r.choice((1, 1, 2, 3, 4, 6))))
    lower = v.r.random() < 0.35
    doc, out = v.r.choice(LOWER if lower else SAME), text.lower() if lower else text
    inputs = {v.r.choice(("text", "text", "input", "s")): text}
    if v.r.random() < 0.5:
        return dict(task="repeat", messages=[{"role": "user", "content": instruction(doc, inputs)}], answer=out)
    schema = obj(result=STR)
    return dict(task="repeat", messages=[{"role": "user", "content": instruction(doc, inputs, schema=schema)}], schema=schema, answer=compact({"result": out}))
