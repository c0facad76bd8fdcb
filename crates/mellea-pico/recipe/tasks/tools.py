"""Choosing a tool and filling its arguments; answering from a tool's result."""
from prompts import compact, tool_call

TOOLS = {  # name: (description variants, parameters, other names)
    "get_weather": (["Current weather of a city.", "Get the weather in a city.", "Returns the weather for a city."], {"city": "string"}, ["get_weather", "weather", "current_weather"]),
    "add": (["Add two numbers.", "Adds a and b.", "Sum of two numbers."], {"a": "integer", "b": "integer"}, ["add", "sum"]),
    "multiply": (["Multiply two numbers.", "Product of two numbers.", "Multiplies a and b."], {"a": "integer", "b": "integer"}, ["multiply", "mul"]),
    "send_message": (["Send a message to a person.", "Sends a short message."], {"to": "string", "text": "string"}, ["send_message", "message"]),
    "set_timer": (["Start a timer.", "Sets a timer in minutes."], {"minutes": "integer"}, ["set_timer", "timer", "start_timer"]),
    "search": (["Search the web.", "Looks up a query.", "Search the documents."], {"query": "string"}, ["search", "web_search"]),
    "convert_currency": (["Convert an amount to a currency.", "Converts money."], {"amount": "integer", "currency": "string"}, ["convert_currency", "convert"]),
    "get_time": (["Current time in a city.", "Tells the local time of a city."], {"city": "string"}, ["get_time", "local_time"]),
    "get_stock": (["Stock price of a company.", "Returns the share price."], {"company": "string"}, ["get_stock", "stock_price"]),
    "lookup_user": (["Find a user by name.", "Looks up a user."], {"name": "string"}, ["lookup_user", "find_user"]),
}
ASK = {
    "get_weather": ["What is the weather in {city}?", "How is the weather in {city}?", "Is it warm in {city}?", "Tell me the weather in {city}.", "Weather in {city}?", "What's the weather like in {city}?", "Does it rain in {city}?", "What is the weather in {city} today?"],
    "add": ["What is {a} + {b}?", "Add {a} and {b}.", "What is {a} plus {b}?", "Please add {a} to {b}.", "Compute the sum of {a} and {b}."],
    "multiply": ["What is {a} * {b}?", "Multiply {a} by {b}.", "What is {a} times {b}?", "Multiply {a} and {b}."],
    "send_message": ["Send {to} the message: {text}", "Tell {to}: {text}", "Send a message to {to} saying {text}", "Message {to}: {text}"],
    "set_timer": ["Set a timer for {minutes} minutes.", "Start a {minutes} minute timer.", "Wake me in {minutes} minutes.", "Timer, {minutes} minutes please."],
    "search": ["Search for {query}.", "Look up {query}.", "Find something about {query}.", "Search the web for {query}."],
    "convert_currency": ["Convert {amount} dollars to {currency}.", "How much is {amount} dollars in {currency}?", "Change {amount} dollars into {currency}."],
    "get_time": ["What time is it in {city}?", "Tell me the time in {city}.", "What's the local time in {city}?", "Time in {city}?"],
    "get_stock": ["What is the stock price of {company}?", "How much is a share of {company}?", "Stock of {company}?"],
    "lookup_user": ["Find the user {name}.", "Look up the user {name}.", "Who is the user {name}?"],
}
SAY = ["I am late", "see you on {d}", "the {e} starts soon", "call me", "the {p} is here", "lunch is ready", "I will be in {c}", "good luck", "thank you for the {p}", "we meet in {c} on {d}", "happy birthday"]
SKY = ["sunny", "rainy", "cloudy", "windy", "foggy", "snowy"]
CURRENCY = ["euros", "yen", "pounds", "francs", "pesos", "rupees", "kroner", "EUR", "USD", "JPY", "GBP", "CHF"]
NONE = "None of the tools can do that."
OFF = ["Write me a poem.", "Sing a song.", "Open the door.", "Paint a picture of a {p}.", "Book a table in {c}.", "Cook a soup.", "Play chess with me.", "Order a {p}.", "Clean the {p}.", "Drive me to {c}.", "Print the {p}."]


def args(v, tool):
    low, big = (12, 12) if tool == "multiply" and v.r.random() < 0.5 else (99, 999)
    n = low if v.r.random() < 0.7 else big
    fmt = dict(d=v.day(), e=v.event(), p=v.product(), c=v.city())
    vals = dict(
        city=v.city(), a=v.num(0, n), b=v.num(0, n), to=v.first(), text=v.r.choice(SAY).format(**fmt), minutes=v.num(1, 90), amount=v.num(1, 999),
        currency=v.r.choice(CURRENCY), company=v.company(), name=v.person(0.5),
        query=v.r.choice((v.product(), v.person(0.8), v.product() + " in " + v.city(), "the history of " + v.city(), v.event() + " " + v.city(), "how to fix a " + v.product(), "cheap " + v.product())),
    )
    return {k: vals[k] for k in TOOLS[tool][1]}


def definition(v, tool):
    desc, params, names = TOOLS[tool]
    name = tool if v.r.random() < 0.85 else v.r.choice(names)
    props = {k: {"type": t} for k, t in params.items()}
    return dict(type="function", function=dict(name=name, description=v.r.choice(desc), parameters=dict(type="object", properties=props, required=list(params))))


def result(v, tool, a):
    """A tool's answer and the sentence the model makes of it."""
    n = v.num(-9, 38)
    if tool == "get_weather":
        sky = v.r.choice(SKY)
        return v.r.choice((
            (compact({"celsius": n}), f"It is {n} degrees in {a['city']}."), (compact({"celsius": n, "sky": sky}), f"It is {n} degrees and {sky} in {a['city']}."),
            (sky, f"It is {sky} in {a['city']}."), (f"{n} degrees, {sky}", f"It is {n} degrees and {sky} in {a['city']}."), (compact({"city": a["city"], "celsius": n}), f"It is {n} degrees in {a['city']}."),
        ))
    if tool in ("add", "multiply"):
        r = a["a"] + a["b"] if tool == "add" else a["a"] * a["b"]
        return v.r.choice(((str(r), f"The result is {r}."), (compact({"result": r}), f"The result is {r}.")))
    if tool == "get_time":
        t = f"{v.num(0, 23):02}:{v.num(0, 59):02}"
        return v.r.choice(((t, f"It is {t} in {a['city']}."), (compact({"time": t}), f"It is {t} in {a['city']}.")))
    if tool == "send_message":
        return v.r.choice(("sent", "ok", '{"status":"sent"}', "done")), f"The message to {a['to']} was sent."
    if tool == "set_timer":
        return v.r.choice(("ok", "started", '{"status":"ok"}', "done")), f"The timer is set to {a['minutes']} minutes."
    if tool == "convert_currency":
        r = v.num(1, 9999)
        return v.r.choice((str(r), compact({"result": r}))), f"That is {r} {a['currency']}."
    if tool == "get_stock":
        r = v.num(1, 999)
        return v.r.choice((str(r), compact({"price": r}))), f"The price of {a['company']} is {r} dollars."
    found = v.product()
    return v.r.choice((found, compact({"result": found}))), f"The result is {found}."


def make(v):
    k = v.r.choice((1, 1, 2, 2, 3, 4))
    names = v.r.sample(list(TOOLS), k)
    used, tools = set(), []
    for t in names:
        d = definition(v, t)
        if d["function"]["name"] not in used:
            used.add(d["function"]["name"])
            tools.append((t, d))
    defs = [d for _, d in tools]
    msgs = []
    if v.r.random() < 0.1:
        msgs.append(dict(role="system", content=v.r.choice(("You are a helpful assistant.", "Be brief.", "You are pico."))))
    have = {t for t, _ in tools}
    if v.r.random() < 0.13:  # no tool fits
        other = v.r.choice([t for t in TOOLS if t not in have and not (t in ("add", "multiply", "search", "lookup_user"))])
        ask = v.r.choice(ASK[other]).format(**args(v, other)) if v.r.random() < 0.6 else v.r.choice(OFF).format(p=v.product(), c=v.city())
        return dict(task="tools", messages=msgs + [dict(role="user", content=ask)], tools=defs, answer=NONE)
    tool, d = v.r.choice(tools)
    a = args(v, tool)
    msgs.append(dict(role="user", content=v.r.choice(ASK[tool]).format(**a)))
    call = tool_call(d["function"]["name"], a)
    if v.r.random() < 0.72:
        return dict(task="tools", messages=msgs, tools=defs, answer=call)
    content, answer = result(v, tool, a)
    msgs += [dict(role="assistant", content=call), dict(role="tool", content=content)]
    return dict(task="tools", messages=msgs, tools=defs if v.r.random() < 0.9 else None, answer=answer)
