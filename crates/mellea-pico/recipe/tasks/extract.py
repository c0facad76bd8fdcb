"""Typed records from short texts."""
from prompts import BOOL, INT, NUM, STR, array, compact, enum, instruction, obj, optional

PEOPLE = """{n} is {a} years old.|{n} is {a} years old.|{n} is {a}.|{n}, {a}, lives in {c}.|{n}, aged {a}, signed up yesterday.
My name is {n} and I am {a}.|My name is {n} and I am {a} years old.|I am {n}, {a} years old, from {c}.|I'm {n} and I'm {a}.
Meet {n}, a {a}-year-old teacher from {c}.|A {a}-year-old named {n} won the prize.|{n} turned {a} last week.|{n} just turned {a}.
Name: {n}, Age: {a}|name={n}; age={a}|age={a}; name={n}|Age {a}, name {n}.|{n} ({a}) joined the team.|{n} ({a})|{n}, {a}|{n} {a}
At the age of {a}, {n} moved to {c}.|Our new member {n} is {a} years of age.|Today {n} celebrates a birthday: {a} years!
Hello, this is {n}. I am {a} years old.|Hi, I'm {n}, {a}.|The user {n} has an age of {a}.|User {n} reported being {a} years old.
The customer is called {n} and is {a} years old.|{n} will be {a} this year.|Yesterday {n} became {a} years old.|They call me {n}. I am {a}.
Patient {n}, age {a}, was admitted.|The winner, {n}, is {a}.|{n} has just celebrated birthday number {a}.|{n} from {c} is {a} years old.
Age: {a}. Name: {n}.|Dr. {n} is {a} years old and works in {c}.|My friend {n} is {a}.|My friend {n}, who is {a}, likes tea.|Say hi to {n}, {a} years old!
In {c} lives {n}, who is {a} years old.|Aged {a}, {n} is the youngest in the group.|{n} says: I am {a} years old.|hi my name is {n} and i am {a} years old
i'm {n}, {a} years young|Please register {n}, age {a}.|Please register {n} ({a} years).|The age of {n} is {a}.|{n}'s age is {a}.|{n}: {a} years
Born {a} years ago, {n} now lives in {c}.|I was told that {n} is {a} years old now.|{n} is a {a} year old engineer.|{n}, a {a}-year-old from {c}, likes dogs.
Our colleague {n} retired at {a}.|When {n} was {a}, the war ended.|Everybody knows {n}, now {a}.|{n} joined the club at age {a}.|The applicant's name is {n}; the applicant is {a}.
There is a user called {n} who is {a} years old.|{a} years old and full of energy: {n} from {c}.|Her name is {n} and she is {a}.|His name is {n} and he is {a} years old.
She is called {n}. She is {a} years old.|He is {n}, and he is {a}.|This is {n}. She just turned {a}.|We met {n} in {c}. He is {a} years old.|{n} works in {c} and is {a} years old.
{n} lives in {c}. {n} is {a} years old.|You can call me {n}. My age is {a}.|Last night {n} ({a}) was seen in {c}.|{n} likes music, is {a} years old and lives in {c}.""".replace("\n", "|").split("|")
BEFORE = ["User log {x}: ", "Log {x}: ", "Record {x}: ", "Entry {x}. ", "On {d} we got {x} messages. ", "Note {x} - ", "[{x}] ",
          "Room {x}: ", "Order {x} came in. ", "Line {x}: ", "#{x} ", "News: ", "From the log of {d}: ", "Ticket {x}: ", "{x}. "]
AFTER = [" The log has {x} lines.", " There are {x} people in the group.", " The call took {x} minutes.", " It was {d}.",
         " Room {x}.", " The ticket number is {x}.", " See page {x}.", " Thank you.", " Nice weather today.", " They have {x} cats."]


INTRO = """I met {n}|Yesterday I talked to {n}|This is {n}|We hired {n}|Here is {n}|The new {j} is {n}|My {r} is called {n}|My {r}'s name is {n}|My {r} is {n}|Friends call her {n}
Our {j} is called {n}|{n} works as a {j}|{n} is a {j}|{n} called {x} times|{n} has {x} {o}|{n} lives in {c}|I know {n}|{n} moved to {c} in {y}|{t} {n} is here|{t} {n} lives in {c}|Please meet {n}
Hi! {n} here|There were {x} guests, among them {n}|In room {x} you will find {t} {n}|This letter is from {n}|A {j} named {n}|A man called {n}|Since {y} our neighbor is {n}|{n} bought a {p}|It was {y} when I met {n}
I have {x} {o} and my name is {n}|Happy birthday {n}|The {j} of the month is {n}|{n} came {x} minutes late|{n} won {x} games|{n} paid {x} dollars|On {m} {x} I saw {n}|{n} studies in {c}|Our youngest {j} is {n}|Our oldest {j} is {n}|Employee {x}: {n}|{j}: {n}|{n}
{n} leads a team of {x} people|{n} writes books|{n} wants to buy a {p}|I am {n}|Call me {n}|Among the {x} members is {n}|{n} signed up on {m} {x}|{n} has worked here since {y}|I think {n} is nice|Ask {n}|In {y} {n} founded a company""".replace("\n", "|").split("|")
AGED = """. {P} is {a} years old.|, who is {a}.|, who is {a} years old.|, who told me {q} is {a}.|, aged {a}.| and {q} is {a}.|; {q} is {a} years old.|, {a} years old.| ({a}).|. {P} turned {a}.|, {a}.|, now {a}.|. {P} is {a}.|. Age {a}.|, age {a}.|: {a} years.| ({a} years old).
 and just turned {a}.|, {a} today!|. {P} says {q} is {a} years old.|, a {a}-year-old.|, {a} years old and new in town.|. Age: {a}|, {a} years of age.| and turned {a} on {d}.|, and {q} is {a} years old now.|. I think {q} is {a}.|; age: {a}; city: {c}""".replace("\n", "|").split("|")
FRONT = """At {a}, {n} bought a {p}.|The {a}-year-old {n} lost a {p}.|The {a} year old {j} {n} lives in {c}.|Now {a}, {n} lives in {c}.|Only {a} years old, {n} won {x} games.|Aged {a}, {n} became a {j}.|With {a} years, {n} is our oldest {j}.|A {a}-year-old {j}, {n}, called {x} times.
{n} was {a} when the {j} came.|{n} is {a} and has {x} {o}.|{n} is {a} years old and has {x} {o}.|{n}, {a}, has {x} {o}.|{n} ({a}) leads the team of {x} people.|Age: {a} / Name: {n}|{a} years old, that is {n}.|I believe {n} is {a} or so.|{n} says {q} is {a}.|{n} is already {a}!|{n} is {a}, I am {n}'s {r}.
{n} is only {a}, but has {x} {o}.|{n} celebrates turning {a} on {m} {x}.|{n} told us: I am {a} and live in {c}.|Is {n} {a}? Yes, {n} is {a}.|How old is {n}? {a}.|Who is {a}? {n}.|name: {n}, age: {a}|age: {a}, name: {n}|Name = {n}, Age = {a}|{n} / {a}|{n} - {a} years|{n}; {a}""".replace("\n", "|").split("|")
JOB = "teacher baker plumber doctor nurse singer painter student driver pilot farmer lawyer cook dancer writer engineer member player winner intern clerk manager waiter tailor guard judge sailor poet gardener mechanic".split()
RELATION = "brother sister mother father uncle aunt cousin friend neighbor boss wife husband son daughter grandma grandpa colleague partner".split()
OWNED = "children dogs cats books houses cars friends sisters brothers horses plants shops medals bikes guitars".split()


def composed(v, f):
    """Name and age in separate clauses, among other numbers."""
    p = v.r.choice(("he", "she", "he", "she", "they" if v.r.random() < 0.1 else "he"))
    t = v.r.choice(FRONT) if v.r.random() < 0.35 else v.r.choice(INTRO) + v.r.choice(AGED)
    text = t.format(
        n=f["name"], a=f["age"], c=f["city"], P=p.capitalize(), q=p, x=v.num(2, 40), y=v.num(1950, 2025), j=v.r.choice(JOB), r=v.r.choice(RELATION),
        o=v.r.choice(OWNED), p=v.product(), m=v.month(), d=v.day(), t=v.r.choice(("Mr.", "Mrs.", "Ms.", "Dr.")),
    )
    return text[0].upper() + text[1:] if v.r.random() < 0.5 else text


def age(v):
    return v.num(1, 99) if v.r.random() < 0.93 else v.num(100, 120)


def wrap(v, text, p=0.5):
    """Surround a text with distractors."""
    fill = dict(x=v.num(1, 999), d=v.day())
    if v.r.random() < p:
        text = v.r.choice(BEFORE).format(**fill) + text
    if v.r.random() < p * 0.6:
        text += v.r.choice(AFTER).format(x=v.num(1, 999), d=v.day())
    return text


def people(v):
    f = dict(name=v.person(), age=age(v), city=v.city())
    text = wrap(v, composed(v, f) if v.r.random() < 0.4 else v.r.choice(PEOPLE).format(n=f["name"], a=f["age"], c=f["city"]))
    if v.r.random() < 0.05:
        text, f["name"] = text.lower(), f["name"].lower()
    return text, f, dict(name=STR, age=INT)


def person_city(v):
    f = dict(name=v.person(), age=age(v), city=v.city())
    t = v.r.choice((
        "{n} is {a} years old and lives in {c}.", "{n}, {a}, lives in {c}.", "My name is {n}, I am {a} and I live in {c}.",
        "{n} ({a}) from {c} joined today.", "Name: {n}. Age: {a}. City: {c}.", "In {c} lives {n}, aged {a}.",
        "Meet {n} from {c}, {a} years old.", "{n} moved to {c} at the age of {a}.", "I am {n} from {c} and I am {a} years old.",
    ))
    return wrap(v, t.format(n=f["name"], a=f["age"], c=f["city"])), f, dict(name=STR, age=INT, city=STR)


def order(v):
    q = v.num(1, 99)
    price = v.num(1, 500) if v.r.random() < 0.6 else v.num(1, 99) + v.num(1, 99) / 100
    p = v.product()
    f = dict(product=p, quantity=q, price=price)
    t = v.r.choice((
        "I want to buy {q} units of the {p} for {m} dollars each.", "Please send {q} x {p} at ${m} each.", "Order {x}: {q} {p}, price {m} euros.",
        "{n} ordered {q} pieces of {p} at {m} dollars.", "Product: {p}. Quantity: {q}. Price: {m}.", "The {p} costs {m} dollars and we need {q} of them.",
        "We sold {q} pieces of the {p} for ${m} apiece.", "{p}, {q} pieces, {m} euros each", "The price of the {p} is {m} dollars; the customer takes {q}.",
        "Add {q} of {p} to my cart, {m} dollars each.", "{n} needs {q} x {p}. Each costs ${m}.",
    ))
    return t.format(q=q, p=p, m=price, n=v.person(0.2), x=v.num(100, 9999)), f, dict(product=STR, quantity=INT, price=NUM)


def event(v):
    f = dict(title=v.event(), city=v.city(), day=v.day())
    t = v.r.choice((
        "The {t} takes place in {c} on {d}.", "Join us for the {t} in {c} this {d}!", "On {d} there is a {t} in {c}.", "{d}: {t} in {c}",
        "{c} hosts the {t} on {d}.", "We plan the {t} for {d} in {c}.", "Reminder: {t}, {d}, {c}.", "Event: {t}. Place: {c}. Day: {d}.",
        "Next {d} the {t} will be held in {c}.", "{n} will be at the {t} in {c} on {d}.", "The {t} was moved to {d} and will be in {c}.",
    ))
    return wrap(v, t.format(t=f["title"], c=f["city"], d=f["day"], n=v.first()), 0.2), f, dict(title=STR, city=STR, day=STR)


def contact(v):
    n = v.person(0.5)
    host = v.invented(False) + v.r.choice((".com", ".org", ".net", ".io", ".de"))
    parts = n.lower().replace("'", "").replace(".", "").split()
    x = v.r.random()
    user = parts[0] if x < 0.4 else ".".join(parts) if x < 0.7 else v.invented(False) + str(v.num(1, 99)) if x < 0.85 else parts[-1] + str(v.num(1, 99))
    f = dict(name=n, email=f"{user}@{host}")
    fields = dict(name=STR, email=STR)
    t = v.r.choice((
        "Contact {n} at {e}.", "{n} can be reached at {e}.", "Write to {e} and ask for {n}.", "{n} <{e}>", "Name: {n}, email: {e}",
        "My name is {n} and my email is {e}.", "Send the files to {n} ({e}).", "The address of {n} is {e}.", "Please add {e} to the list, it belongs to {n}.",
    ))
    text = t.format(n=n, e=f["email"])
    if v.r.random() < 0.3:
        f["phone"] = "-".join(str(v.num(100, 999)) for _ in range(2))
        fields["phone"] = STR
        text += v.r.choice((" Phone: {p}.", " Call {p}.", " The number is {p}.")).format(p=f["phone"])
    return text, f, fields


LOW = ["It can wait.", "There is no hurry.", "No rush at all.", "Whenever you have time.", "This is a minor thing.", "Low priority."]
MEDIUM = ["Please fix it this week.", "It would be good to have it soon.", "Medium priority.", "Please look at it in the next days.", "Normal priority."]
HIGH = ["This is urgent!", "We need help right now.", "Please fix it immediately.", "It is an emergency.", "High priority.", "As soon as possible please, all work has stopped."]


def ticket(v):
    pr = v.r.choice(("low", "medium", "high"))
    f = dict(customer=v.person(), product=v.product(), priority=pr)
    t = v.r.choice((
        "{n} says the {p} is broken.", "Customer {n} reports a problem with the {p}.", "The {p} of {n} does not work.", "{n} cannot use the {p}.",
        "Ticket from {n}: my {p} stopped working.", "The {p} ordered by {n} makes a strange noise.", "{n} wrote about the {p}.",
    )).format(n=f["customer"], p=f["product"])
    why = v.r.choice({"low": LOW, "medium": MEDIUM, "high": HIGH}[pr])
    levels = ["low", "medium", "high"] if v.r.random() < 0.7 else ["high", "medium", "low"]
    text = f"{t} {why}" if v.r.random() < 0.8 else f"{why} {t}"
    return text, f, dict(customer=STR, product=STR, priority=enum(*levels))


def maybe(v):
    """A record with an optional field."""
    key = v.r.choice(("nickname", "city", "email", "phone"))
    n = v.person()
    val = {"nickname": v.first, "city": v.city, "email": lambda: v.invented(False) + "@" + v.invented(False) + ".com",
           "phone": lambda: "-".join(str(v.num(100, 999)) for _ in range(2))}[key]()
    a = age(v)
    base = v.r.choice(("{n} is {a} years old.", "My name is {n} and I am {a}.", "{n}, {a}, joined today.", "{n} ({a}) signed up.", "User {n} is {a}.")).format(n=n, a=a)
    has = v.r.random() < 0.55
    if has:
        base += v.r.choice({
            "nickname": (" Friends call me {v}.", " The nickname is {v}.", " Everybody says {v}."),
            "city": (" The home is in {v}.", " I live in {v}.", " City: {v}."),
            "email": (" Write to {v}.", " The email is {v}.", " Mail: {v}."),
            "phone": (" Call {v}.", " The phone number is {v}.", " Phone: {v}."),
        }[key]).format(v=val)
    elif v.r.random() < 0.5:
        base += v.r.choice((" Nothing else is known.", " That is all.", " I like tea.", " The rest is unknown.", f" There was no {key}."))
    f = {"name": n, key: val if has else None, "age": a}
    return wrap(v, base, 0.2), f, {"name": STR, key: optional(STR), "age": INT}


DOCS = {
    people: ["Extract the user's name and age from the text.", "Extract the user's name and age from the text.", "Extract the name and the age of the person.", "Find the person's name and age.",
             "Read the text and return the person.", "Who is this and how old are they?", "Get the name and age out of the text.", "Extract the person from the log line.", "Parse the user."],
    person_city: ["Extract the person.", "Extract name, age and city.", "Read the person from the text.", "Extract the user from the text.", "Return the person described in the text.", "Parse the profile."],
    order: ["Extract the order.", "Extract product, quantity and price.", "Read the order from the message.", "Parse the order.", "What was ordered?", "Extract the order from the text."],
    event: ["Extract the event.", "Extract the event from the text.", "Read title, city and day of the event.", "Parse the announcement.", "What happens where and when?"],
    contact: ["Extract the contact.", "Extract the contact details.", "Read the contact from the text.", "Find the name and the email address.", "Parse the contact."],
    ticket: ["Extract the support ticket.", "Read the ticket.", "Extract customer, product and priority.", "Turn the message into a ticket.", "Parse the ticket."],
    maybe: ["Extract the person.", "Extract the person; use null for what is missing.", "Read the user from the text.", "Parse the user.", "Extract the user's details from the text."],
}
PARAM = ["text", "text", "text", "text", "input", "message", "line", "log", "note", "s", "document", "source"]
LABEL = {"name": "name", "age": "age", "city": "city", "product": "product", "quantity": "quantity", "price": "price", "title": "title", "day": "day",
         "customer": "customer", "priority": "priority", "email": "email address", "phone": "phone number", "nickname": "nickname"}


def form(v, doc, text, schema):
    """Generative function, or instruct with an input or a context section."""
    x = v.r.random()
    ex = {}
    if x < 0.72:
        ex["doc"], ex["inputs"] = doc, {v.r.choice(PARAM): text}
        return instruction(doc, ex["inputs"], schema=schema), ex
    if x < 0.86:
        return instruction(doc, context={v.r.choice(("text", "doc", "1", "message", "log", "doc0")): text}, schema=schema), ex
    if x < 0.93:
        return instruction(f"{doc}\n\n{text}" if v.r.random() < 0.5 else f"{doc} Text: {text}", schema=schema), ex
    return instruction(doc, {v.r.choice(PARAM): text}, requirements=[v.r.choice(("Use only facts from the text.", "Answer with JSON only.", "Do not invent values.", "Copy the values exactly."))], schema=schema), ex


def record(v, kind):
    text, f, fields = kind(v)
    doc = v.r.choice(DOCS[kind])
    keys = list(fields)
    if kind is people and v.r.random() < 0.7:
        pass
    elif v.r.random() < 0.45:
        v.r.shuffle(keys)
        keys = keys[: v.r.randint(1, len(keys))]
        if v.r.random() < 0.6:
            doc = "Extract the " + " and ".join(LABEL[k] for k in keys) + v.r.choice((".", " from the text."))
    if len(keys) == 1 and v.r.random() < 0.3 and "priority" not in keys:
        k = keys[0]
        doc = v.r.choice(("Extract the {k}.", "What is the {k}?", "Return the {k}.", "Find the {k} in the text.")).format(k=LABEL[k])
        return doc, text, obj(result=fields[k]), {"result": f[k]}
    return doc, text, obj(**{k: fields[k] for k in keys}), {k: f[k] for k in keys}


def names(v):
    n = v.num(0, 4) if v.r.random() < 0.9 else 5
    ns = [v.person(0.25) for _ in range(n)]
    joined = ", ".join(ns[:-1]) + (" and " if n > 1 else "") + (ns[-1] if ns else "")
    if n:
        t = v.r.choice(("{j} came to the {e}.", "The team: {j}.", "{j} will join us on {d}.", "We met {j} in {c}.", "On {d} I saw {j}.", "Invited: {j}.", "Please call {j}."))
    else:
        t = v.r.choice(("Nobody came to the {e}.", "On {d} the office was empty.", "It rained on {d}.", "There was no one at the {e}."))
    text = t.format(j=joined, e=v.event(), d=v.day(), c=v.city())
    doc = v.r.choice(("Extract all names.", "List the names of the people in the text.", "Which people are mentioned?", "Return every person's name.", "Extract the names from the text."))
    return doc, text, obj(result=array(STR)), {"result": ns}


def adult(v):
    text, f, _ = people(v)
    lim = 18
    return v.r.choice(("Is the person an adult (18 or older)?", "Is the person at least 18 years old?")), text, obj(result=BOOL), {"result": f["age"] >= lim}


KINDS = [people] * 9 + [person_city] * 2 + [order] * 3 + [event] * 3 + [contact] * 3 + [ticket] * 3 + [maybe] * 3 + [names] * 3 + [adult]


def make(v):
    kind = v.r.choice(KINDS)
    doc, text, schema, answer = kind(v) if kind in (names, adult) else record(v, kind)
    prompt, ex = form(v, doc, text, schema)
    return dict(task="extraction", kind=kind.__name__, messages=[{"role": "user", "content": prompt}], schema=schema, answer=compact(answer), **ex)
