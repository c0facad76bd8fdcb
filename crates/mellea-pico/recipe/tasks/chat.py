"""A little small talk, with or without a name to remember."""

IAM = "I am pico, a tiny demonstration model."
PAIRS = [
    (["Hello", "Hello!", "Hi", "Hi!", "Hey", "Hi there", "Good morning", "Hello there!", "hello", "hi", "hey pico"], "Hello! How can I help?"),
    (["Who are you?", "What are you?", "What is your name?", "who are you", "What model are you?", "Tell me about you.", "Are you a robot?", "Introduce yourself."], IAM),
    (["Thanks", "Thank you!", "Thanks a lot.", "thank you", "Thank you very much.", "thanks!"], "You are welcome."),
    (["Bye", "Goodbye", "See you", "bye", "Good night"], "Goodbye!"),
    (["How are you?", "How do you do?", "how are you"], "I am fine, thank you."),
    (["What can you do?", "How can you help me?", "What are you good at?"], "I can extract data, classify texts, write short emails, judge texts, call tools and add small numbers."),
    (["Tell me a joke.", "What is the meaning of life?", "Explain quantum physics.", "Write a novel.", "Who won the war?", "Translate this to French.", "What is the capital of {c}?", "Why is the sky blue?"], "I am only a tiny model and do not know that."),
    (["Say hello to {n}.", "Greet {n}."], "Hello {n}!"),
    (["Ok", "ok", "Good", "Great", "Fine"], "Good. What else can I do?"),
    (["Say yes.", "Answer yes."], "yes"),
    (["Say ok.", "Reply with ok."], "ok"),
]
TELL = ["My name is {n}.", "I am {n}.", "Hello, I am {n}.", "Hi, my name is {n}.", "Call me {n}.", "I'm {n}."]
RECALL = ["What is my name?", "Who am I?", "Do you remember my name?", "What was my name?", "Tell me my name."]


def make(v):
    f = dict(n=v.person(0.2), c=v.city())
    u = lambda q: dict(role="user", content=q.format(**f))
    b = lambda a: dict(role="assistant", content=a.format(**f))
    pair = lambda: v.r.choice(PAIRS)
    x = v.r.random()
    msgs = [dict(role="system", content=v.r.choice(("You are a helpful assistant.", "Be brief.", "You are pico.")))] if v.r.random() < 0.1 else []
    if x < 0.45:
        q, a = pair()
        return dict(task="chat", messages=msgs + [u(v.r.choice(q))], answer=a.format(**f))
    if x < 0.6:
        (q1, a1), (q2, a2) = pair(), pair()
        return dict(task="chat", messages=msgs + [u(v.r.choice(q1)), b(a1), u(v.r.choice(q2))], answer=a2.format(**f))
    msgs += [u(v.r.choice(TELL)), b("Nice to meet you, {n}.")]
    if x < 0.68:
        return dict(task="chat", messages=msgs[:-1], answer=msgs[-1]["content"])
    if v.r.random() < 0.4:
        q, a = pair()
        msgs += [u(v.r.choice(q)), b(a)]
    return dict(task="chat", messages=msgs + [u(v.r.choice(RECALL))], answer="Your name is {n}.".format(**f))
