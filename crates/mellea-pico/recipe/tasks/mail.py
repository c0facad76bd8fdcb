"""E-mails and notes under requirements, first attempts and repairs."""
from prompts import STR, compact, instruction, obj
from tasks import letters as L

WORDING = {
    "salutation": ["The email should have a salutation.", "The email should have a salutation.", "Start with a salutation.", "The text should open with a greeting.", "Include a greeting.", "Greet the reader."],
    "lower": ["Use only lower-case letters.", "Use only lower-case letters.", "Use only lowercase letters.", "Write everything in lower case.", "No capital letters.", "Do not use upper-case letters."],
    "name": ["Mention {n}.", "The text should mention {n}.", "Use the name {n}.", "Include the name of the recipient."],
    "event": ["Mention the {e}.", "The text should mention the {e}.", "Include the {e}."],
    "day": ["Mention {d}.", "Mention the day.", "Say that it is on {d}."],
    "closing": ["End with a closing.", "The email should have a closing.", "End with a sign-off.", "Close with a sign-off."],
    "words": ["Use at most {w} words.", "At most {w} words.", "Keep it under {w} words.", "The text should have no more than {w} words."],
    "sentences": ["Write at most {s} sentences.", "At most {s} sentences.", "Use no more than {s} sentences."],
    "one": ["Write one sentence.", "Use only one sentence.", "The text should be a single sentence."],
    "no_exclaim": ["Do not use exclamation marks.", "No exclamation marks.", "Avoid exclamation marks."],
    "question": ["Include a question.", "Ask a question.", "The text should contain a question."],
    "competitors": ["Do not mention competitors.", "Do not mention competitors.", "Never mention a competitor."],
    "polite": ["Be polite.", "The tone should be polite.", "Write in a polite tone."],
    "start": ['Start with "{g}".', 'The text should start with "{g}".', 'Begin with "{g}".'],
    "price": ["Mention the price.", "Mention the price of {x} dollars.", "Include the number {x}."],
}
# what a judge or a validator says when a requirement is not met
REASONS = {
    "salutation": ["The text does not open with a greeting.", "There is no salutation.", "The salutation is missing."],
    "lower": ["The text has upper-case letters.", "The text contains capital letters.", "Upper-case letters were found."],
    "name": ["The text does not mention {n}.", "The name {n} is missing."],
    "event": ["The text does not mention the {e}.", "The {e} is missing."],
    "day": ["The text does not mention {d}.", "The day is missing."],
    "closing": ["The text does not end with a closing.", "The sign-off is missing."],
    "words": ["The text is too long.", "The text has too many words."],
    "sentences": ["The text has too many sentences.", "There are too many sentences."],
    "one": ["The text has more than one sentence.", "There is more than one sentence."],
    "no_exclaim": ["The text has an exclamation mark.", "There is an exclamation mark."],
    "question": ["The text does not ask a question.", "There is no question."],
    "competitors": ["The text mentions a competitor."],
    "polite": ["The text is not polite."],
    "start": ['The text does not start with "{g}".', "The first word is wrong."],
    "price": ["The text does not mention the price.", "The number is missing."],
}
STARTS = ["Hello", "Hi", "Dear", "Hey", "Greetings"]


def holds(check, text, f, arg):
    """Machine check of one requirement; None when only a judge can tell."""
    low = text.lower()
    if check in ("name", "event", "day", "price"):
        return str(f[{"name": "n", "event": "e", "day": "d", "price": "x"}[check]]).lower() in low
    return {
        "salutation": lambda: L.has_salutation(text),
        "lower": lambda: text == low,
        "closing": lambda: L.has_closing(text),
        "words": lambda: L.words(text) <= arg,
        "sentences": lambda: L.sentences(text) <= arg,
        "one": lambda: L.sentences(text) == 1,
        "no_exclaim": lambda: "!" not in text,
        "question": lambda: "?" in text,
        "start": lambda: low.startswith(arg.lower()),
    }.get(check, lambda: None)()


def pick(v, kind, used):
    opts = ["salutation", "lower", "closing", "words", "sentences", "no_exclaim", "question", "competitors", "polite", "start", "name"]
    opts += [o for o, k in (("event", "e"), ("day", "d"), ("price", "x")) if k in used and not (kind == "congratulate" or kind == "thank_help")]
    if "salutation" not in opts or v.r.random() < 0.12:
        opts.append("one")
    n = v.r.choice((0, 1, 1, 2, 2, 2, 3, 4))
    got = v.r.sample(opts, n)
    if v.r.random() < 0.45:
        got = [g for g in got if g not in ("salutation", "lower")][:2]
        got = ["salutation", "lower"] + got if v.r.random() < 0.85 else got + ["lower", "salutation"]
    if "one" in got:
        got = [g for g in got if g not in ("sentences", "question")]
    return got


def spec(v, quick=False):
    kind, prompt, used, f = L.facts(v, "invite" if quick else None)
    if quick:
        f["e"] = "launch"
        prompt = f"Write an email to {f['n']} inviting them to the launch."
        got = ["salutation", "lower"]
    else:
        got = pick(v, kind, used)
    g = v.r.choice(STARTS)
    one, low = "one" in got, "lower" in got
    opts = dict(
        greet="salutation" in got or "start" in got or v.r.random() < 0.7, close="closing" in got or (not one and v.r.random() < 0.6),
        question="question" in got or (not one and v.r.random() < 0.1), exclaim="no_exclaim" not in got and v.r.random() < 0.12,
        lower=low, start=g if "start" in got else None, one=one,
    )
    small = v.r.random() < 0.4
    if "words" in got and small:
        opts.update(size=1)
    text = L.build(v, kind, f, **opts)
    w = None
    if "words" in got:
        fit = [k for k in (10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100) if k > L.words(text)]
        w = v.r.choice(fit[:2] if small else fit[:4])
    s = max(L.sentences(text), v.r.choice((2, 3, 3, 4)))
    arg = {"words": w, "sentences": s, "start": g}
    fill = dict(f, w=w, s=s, g=g.lower() if low else g)
    reqs = [WORDING[k][0 if quick else v.r.randrange(len(WORDING[k]))].format(**fill) for k in got]
    return kind, prompt, f, got, arg, fill, reqs, opts, text


def spoil(v, kind, f, opts, text):
    """Break exactly one of the visible requirements salutation / lower case."""
    if v.r.random() < 0.7:
        x = v.r.random()
        if x < 0.5:
            return L.build(v, kind, f, **dict(opts, lower=False))
        return text[0].upper() + text[1:]
    return L.build(v, kind, f, **dict(opts, greet=False, start=None))


def make(v, quick=None):
    quick = v.r.random() < 0.22 if quick is None else quick
    kind, prompt, f, got, arg, fill, reqs, opts, text = spec(v, quick)
    while not all(holds(k, text, f, arg.get(k)) in (True, None) for k in got):
        text = L.build(v, kind, f, **opts)
        if v.r.random() < 0.2:
            return make(v, quick)
    failed, extra = [], []
    x = v.r.random()
    if got and x < 0.45:
        bad = v.r.sample(got, 1 if v.r.random() < 0.75 else min(2, len(got)))
        for k in sorted(bad, key=got.index):
            failed.append(reqs[got.index(k)] if v.r.random() < 0.55 else v.r.choice(REASONS[k]).format(**fill))
        if v.r.random() < 0.08:
            failed.append("The text mentions a competitor.")
    elif got and x < 0.48:
        failed = ["The text mentions a competitor." if v.r.random() < 0.5 else "Do not mention competitors."]
    answer = text
    if not failed and "salutation" in got and "lower" in got and "start" not in got and not v.heldout and v.r.random() < 0.24:
        answer = spoil(v, kind, f, opts, text)
    checks = [dict(check=k, arg=arg.get(k) or f.get({"name": "n", "event": "e", "day": "d", "price": "x"}.get(k))) for k in got]
    if not quick and v.r.random() < 0.08:
        schema = obj(result=STR)
        return dict(task="email", messages=[{"role": "user", "content": instruction(prompt, requirements=reqs, schema=schema, failed=failed)}], schema=schema, answer=compact({"result": answer}), checks=checks)
    return dict(task="email", messages=[{"role": "user", "content": instruction(prompt, requirements=reqs, failed=failed)}], answer=answer, checks=checks)
