"""Builds short e-mails and notes from parts, so that what they fulfil is known. Shared by e-mail and judge tasks."""
import re

GREET = ["Dear {n},", "Hello {n},", "Hi {n},", "Hey {n},", "Good morning {n},", "Hi {n},", "Hello {n},", "Dear {n},"]
CLOSE = ["Best wishes", "Kind regards", "Best regards", "Sincerely", "See you soon", "All the best"]
TAIL = ["It would be great to see you.", "Please let me know.", "Thank you very much.", "Take care.", "Have a nice day."]
ASK = ["What do you think?", "Is that fine with you?", "Can you let me know?", "Does that work for you?"]

# kind: (prompts, body sentences); {n} name, {e} event, {d} day, {p} product, {c} place
KINDS = {
    "invite": (["Write an email to {n} inviting them to the {e}.", "Write an invitation to the {e} for {n}.", "Invite {n} to the {e}.", "Write a short note inviting {n} to the {e}.", "Write an email inviting {n} to the {e}."],
               ["Please join us for the {e}.", "We would love to see you at the {e}.", "You are invited to the {e}.", "I would like to invite you to the {e}.", "Please come to the {e}.", "It is my pleasure to invite you to the {e}.", "We are happy to invite you to the {e}."]),
    "invite_day": (["Write an email to {n} inviting them to the {e} on {d}.", "Invite {n} to the {e} on {d}.", "Write a note inviting {n} to the {e} this {d}."],
                   ["Please join us for the {e} on {d}.", "You are invited to the {e} on {d}.", "We would love to see you at the {e} on {d}.", "Please come to the {e} on {d}."]),
    "thank": (["Write an email to {n} to thank them for the {p}.", "Thank {n} for the {p}.", "Write a thank-you note to {n} for the {p}.", "Write a short note thanking {n} for the {p}."],
              ["Thank you so much for the {p}.", "Many thanks for the {p}.", "I am very grateful for the {p}.", "The {p} is wonderful, thank you."]),
    "thank_help": (["Write an email to {n} to thank them for their help.", "Thank {n} for the help with the {e}.", "Write a note to thank {n} for the help."],
                   ["Thank you so much for your help.", "Your help was wonderful.", "Many thanks for your kind help."]),
    "remind": (["Remind {n} of the {e} on {d}.", "Write an email to {n} reminding them of the {e} on {d}.", "Write a reminder to {n} about the {e} on {d}."],
               ["Please remember the {e} on {d}.", "This is a reminder of the {e} on {d}.", "Please do not forget the {e} on {d}.", "The {e} is on {d}."]),
    "decline": (["Write an email to {n} declining the invitation to the {e}.", "Tell {n} politely that I cannot come to the {e}.", "Decline the invitation of {n} to the {e}."],
                ["Unfortunately I cannot come to the {e}.", "I am sorry, but I cannot join the {e}.", "Thank you for the invitation, but I cannot make it to the {e}."]),
    "congratulate": (["Congratulate {n} on the {e}.", "Write an email to {n} congratulating them on the {e}.", "Write a note to congratulate {n} on the new {p}."],
                     ["Congratulations on this great news.", "I am so happy for you.", "Well done, you have earned it.", "My warmest congratulations to you."]),
    "meet": (["Ask {n} for a meeting on {d}.", "Write an email to {n} asking for a meeting on {d}.", "Write to {n} and ask to meet on {d}."],
             ["I would like to meet you on {d}.", "Could we meet on {d}?", "Please let us meet on {d}."]),
    "late": (["Tell {n} that I will be late on {d}.", "Write a note to {n} saying that I will be late on {d}."],
             ["I will be late on {d}.", "I am sorry, I will be a bit late on {d}.", "On {d} I will be late."]),
    "sick": (["Write an email to {n} saying that I am sick.", "Tell {n} that I am sick and stay at home."],
             ["I am sick and will stay at home.", "I am sorry, but I am sick today.", "I am not well and cannot come today."]),
    "buy": (["Ask {n} to buy a {p}.", "Write a note to {n} asking them to buy the {p}.", "Write an email to {n} asking for the {p}."],
            ["Please buy the {p}.", "Could you please get the {p}?", "We need the {p}, please buy it."]),
    "offer": (["Write an email to {n} offering the {p} for {x} dollars.", "Offer {n} the {p} for {x} dollars."],
              ["We offer the {p} for {x} dollars.", "The {p} costs {x} dollars.", "You can have the {p} for {x} dollars."]),
    "moved": (["Tell {n} that the {e} was moved to {d}.", "Write an email to {n} saying that the {e} was moved to {d}."],
              ["The {e} was moved to {d}.", "Please note that the {e} will now be on {d}.", "The new day for the {e} is {d}."]),
    "cancel": (["Tell {n} that the {e} is cancelled.", "Write an email to {n} cancelling the {e}."],
               ["I am sorry, the {e} is cancelled.", "The {e} will not take place.", "We have to cancel the {e}."]),
    "visit": (["Tell {n} that I will be in {c} on {d}.", "Write an email to {n} saying that I will visit {c} on {d}."],
              ["I will be in {c} on {d}.", "On {d} I will visit {c}.", "My trip to {c} is on {d}."]),
    "welcome": (["Welcome {n} to the team.", "Write an email to welcome {n} to the team.", "Write a welcome note for {n}."],
                ["Welcome to the team.", "We are happy to have you on the team.", "It is great that you joined our team."]),
    "sorry": (["Apologize to {n} for the broken {p}.", "Write an email to {n} to apologize for the {p}."],
              ["I am sorry for the trouble with the {p}.", "Please excuse the trouble with the {p}.", "We are very sorry about the {p}."]),
    "shipped": (["Tell {n} that the {p} was shipped on {d}.", "Write an email to {n} saying that the {p} was shipped on {d}."],
                ["The {p} was shipped on {d}.", "We sent the {p} on {d}.", "Your {p} left our house on {d}."]),
    "birthday": (["Write a birthday note to {n}.", "Wish {n} a happy birthday.", "Write an email to {n} with birthday wishes."],
                 ["Happy birthday to you.", "I wish you a happy birthday.", "All my best wishes for your birthday."]),
}


def facts(v, kind=None):
    """The variables of one letter; only those its kind uses are kept."""
    kind = kind or v.r.choice(["invite"] * 6 + list(KINDS))
    prompt = v.r.choice(KINDS[kind][0])
    f = dict(n=v.person(0.15), e=v.event() if v.r.random() < 0.85 else "launch", d=v.day(), p=v.product(), c=v.city(), x=v.num(2, 900))
    used = {k: val for k, val in f.items() if "{" + k + "}" in prompt}
    return kind, prompt.format(**f), used, f


def build(v, kind, f, greet=True, close=True, question=False, exclaim=False, lower=False, size=None, start=None, name=True, one=False):
    """One letter. `size` is the number of body sentences."""
    size = size or v.r.choice((1, 2, 2))
    bodies = [b for b in KINDS[kind][1] if "{e}" not in b or "e" in f]
    body = [v.r.choice(bodies)]
    if one:
        size = 1
    if size > 1:
        body.append(v.r.choice(TAIL))
    if question and not any("?" in b for b in body):
        body = body[: 2] if size > 1 else body
        body.append(v.r.choice(ASK))
    if not question:
        body = [b if "?" not in b else KINDS[kind][1][0] for b in body]
    text = " ".join(body)
    if name and not greet:
        text = text[:-1] + ", {n}" + text[-1]
    if exclaim:
        text = text[:-1] + "!" if text[-1] in ".?" and not question else text.replace(".", "!", 1)
        if "!" not in text:
            text += " Great!"
    if start:
        g = start + (" {n}," if name else ",")
    else:
        g = v.r.choice(GREET)
        if not name:
            g = v.r.choice(("Hello,", "Hi,", "Dear friend,", "Hello there,", "Good morning,"))
    parts = [g] if greet else []
    parts.append(text)
    if close:
        parts.append(v.r.choice(CLOSE))
    out = v.r.choices(("\n\n", "\n", " "), (75, 13, 12))[0].join(parts).format(**f)
    return out.lower() if lower else out


def words(text):
    return len(text.split())


def sentences(text):
    return len(re.findall(r"[.!?](?:\s|$)", text))


GREETING = re.compile(r"^(dear|hello|hi|hey|good morning|greetings|good evening|good day)\b", re.I)


def has_salutation(text):
    return bool(GREETING.match(text))


def has_closing(text):
    return any(text.lower().rstrip(".!").endswith(c.lower()) for c in CLOSE)
