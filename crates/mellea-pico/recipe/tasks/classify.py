"""Sentiment, topic and urgency. Labels come in any order, so the model must read the type hint."""
import re

from prompts import BOOL, compact, enum, instruction, obj

POS = "great wonderful excellent amazing fantastic lovely perfect superb brilliant delightful good nice awesome pleasant outstanding beautiful helpful friendly fast reliable fun charming superior marvelous terrific splendid tasty delicious cozy clean clever impressive stunning magnificent enjoyable".split()
NEG = "terrible awful horrible bad broken disappointing poor useless boring rude slow ugly dreadful annoying nasty dirty noisy unreliable defective worthless dull filthy sloppy lousy cheap ruined painful tasteless hopeless shabby frustrating cold unfriendly ridiculous unacceptable".split()
NEU = "average ordinary normal usual standard regular plain typical".split()
THING = "the food|the service|the film|the book|the hotel|the phone|the staff|the app|the room|the game|the music|the support|the delivery|the product|this place|the show|the course|the lesson|the laptop|the coffee|my stay|the trip|the meal|the update|the software".split("|")
T_POS = ["I love {t}.", "{T} was {a}.", "{T} is {a}!", "I am so happy with {t}.", "What a {a} day!", "Really {a}, I would recommend it to everyone.", "I enjoyed {t} a lot.", "{T} made me smile.",
         "Best thing I ever bought.", "Absolutely {a}.", "Thank you for {t}, it was {a}.", "I can't stop using it, {t} is {a}.", "It works perfectly and {t} is {a}.", "Five stars for {t}.", "{n} did a {a} job.", "{T} was not bad at all.", "I am very happy with {t}.", "What a {a} evening we had!", "This is the best in town.", "{T} tasted {a}.", "We had a lot of fun, {t} was {a}.", "I really love {t}.", "Great work, thank you!", "I will come back.", "{T} was {a} and {b}.", "Simply {a}!", "I am impressed by {t}.", "{n} was very {a}.", "I had a {a} time in {c}.", "I like {t}."]
T_NEG = ["I hate {t}.", "{T} was {a}.", "{T} is {a}!", "I am very unhappy with {t}.", "What a {a} day!", "Really {a}, never again.", "I did not enjoy {t}.", "{T} made me angry.",
         "Worst thing I ever bought.", "Absolutely {a}.", "I want my money back, {t} was {a}.", "It stopped working after a day and {t} is {a}.", "One star for {t}.", "{n} did a {a} job.", "{T} was not good at all.", "I am very angry about {t}.", "What a {a} evening we had!", "This is the worst in town.", "{T} tasted {a}.", "I am disappointed with {t}.", "I really hate {t}.", "{T} broke after a week, {a}.", "I will never come back.", "{T} was {a} and {b}.", "Simply {a}!", "I regret buying it.", "{n} was very {a}.", "A waste of time and money.", "I had a {a} time in {c}.", "I do not like {t}."]
T_NEU = ["{T} is {a}.", "{T} arrived on {d}.", "I bought it in {c}.", "{T} is in {c}.", "The train leaves at {x}.", "The shop is next to the station.", "{n} parked the car in the garage.", "The parcel weighs {x} kilograms.", "{n} lives in {c}.", "The meeting is on {d}.", "{T} has {x} parts.", "{n} put the keys on the table.", "The store closes at {x}.", "We took the bus to {c}.", "{n} sent {t} to {c}.", "{T} has a cover and a number.", "The package came on {d}.", "{n} wrote about {t}.", "It is {x} pages long.", "{T} opens at {x} o'clock.",
         "There are {x} rooms.", "{T} was neither good nor bad.", "I have no opinion on {t}.", "It is an {a} one, nothing special.", "We went to {c} on {d}.", "The color is blue.", "{n} uses {t} on {d}.", "It costs {x} dollars."]

TOPICS = {
    "sports": ["{n} scored two goals in the final.", "The team won the match on {d}.", "The coach changed the players before the game.", "{c} won the cup after a hard match.", "The runner broke the record at the stadium.", "The tennis player lost the final set.", "Fans in {c} celebrated the victory of their team.", "The swimmer {n} won a medal.", "The goalkeeper saved a penalty."],
    "politics": ["The president met the minister in {c}.", "The parliament voted on a new law.", "{n} won the election in {c}.", "The government plans new taxes.", "The mayor {n} gave a speech to the voters.", "The senator spoke against the bill.", "Voters in {c} go to the polls on {d}.", "The party chose {n} as its candidate."],
    "science": ["Researchers in {c} discovered a new planet.", "The experiment proved the theory of {n}.", "Scientists measured the speed of light.", "A new study explains how cells grow.", "The telescope found a distant galaxy.", "The laboratory of {n} published its results.", "Biologists described a new species of frog.", "Physicists in {c} observed a rare particle."],
    "business": ["The company {k} raised its profit.", "Shares of {k} fell on {d}.", "The bank in {c} cut interest rates.", "{k} will buy a smaller firm.", "The market closed higher on {d}.", "Investors sold their stocks.", "{n} became the new chief executive of {k}.", "Sales at {k} grew this quarter."],
    "weather": ["It will rain in {c} on {d}.", "A storm hits the coast near {c}.", "Sunny skies and {x} degrees in {c}.", "Snow is expected on {d}.", "Strong wind and clouds over {c}.", "The heat wave goes on in {c}.", "Fog in the morning, sun in the afternoon.", "The temperature drops to {x} degrees."],
    "food": ["Add the eggs and the flour to the bowl.", "The soup needs more salt and pepper.", "{n} baked a cake with apples.", "The restaurant in {c} serves fresh fish.", "Cook the rice for {x} minutes.", "This recipe needs butter, sugar and milk.", "We ate pizza and salad in {c}.", "The chef {n} cooks pasta with tomatoes."],
}
URGENT = ["The server is down, fix it now!", "This is urgent, call {n} immediately.", "Fire in building {x}!", "Please answer right now, all customers are waiting.", "Emergency: the pipe in {c} broke.", "We need help at once, the system has crashed.", "Act immediately, the deadline is in {x} minutes.", "Call a doctor, {n} is hurt!", "Critical: the database is losing data.", "As soon as possible please, {n} cannot work at all."]
CALM = ["Please look at it when you have time.", "No hurry, next month is fine.", "The newsletter for {m} is ready.", "{n} says hello from {c}.", "Here are the photos of our trip to {c}.", "It can wait until {d}.", "Lunch on {d}?", "Could you send me the notes some time?", "The office plants were watered by {n}.", "Just for your information: page {x} has a small typo.", "Thank you for the book."]

DOC_S = ["Classify the sentiment of the text.", "What is the sentiment of the text?", "Classify the sentiment of the input text.", "Decide whether the review is positive, negative or neutral.", "Return the sentiment.", "How does the writer feel?", "Sentiment of the review."]
DOC_T = ["Classify the topic of the text.", "What is the topic of the text?", "Which topic fits best?", "Sort the news into a topic.", "Return the topic of the headline.", "What is this text about?"]
DOC_U = ["Is the message urgent?", "Decide whether the message is urgent.", "Does this need an answer right away?", "Is this urgent?", "Return true if the text is urgent."]
PARAM = ["text", "text", "text", "review", "input", "message", "s", "comment"]


def fill(v, t, a="", b=""):
    thing = v.r.choice(THING)
    out = t.format(t=thing, T=thing[0].upper() + thing[1:], a=a, b=b, n=v.person(0.2), c=v.city(), d=v.day(), x=v.num(1, 60), k=v.company(), m=v.month())
    return re.sub(r"\ban (?=[^aeou])", "a ", out)


def sentiment(v):
    s = v.r.choice(("positive", "negative", "neutral"))
    ts, ws = {"positive": (T_POS, POS), "negative": (T_NEG, NEG), "neutral": (T_NEU, NEU)}[s]
    k = 1 if v.r.random() < 0.7 else 2
    parts = [fill(v, v.r.choice(ts), v.r.choice(ws), v.r.choice(ws)) for _ in range(k)]
    if s != "neutral" and v.r.random() < 0.25:
        parts.insert(v.r.choice((0, 1)), fill(v, v.r.choice(T_NEU[1:10]), ""))
    labels = ["positive", "negative", "neutral"]
    if s != "neutral" and v.r.random() < 0.3:
        labels.remove("neutral")
    if v.r.random() < 0.5:
        v.r.shuffle(labels)
    text = " ".join(parts)
    if v.r.random() < 0.12:
        text = text.lower().rstrip(".")
    return v.r.choice(DOC_S), text, obj(result=enum(*labels)), s


def topic(v):
    labels = list(TOPICS)
    t = v.r.choice(labels)
    text = " ".join(fill(v, x) for x in v.r.sample(TOPICS[t], 1 if v.r.random() < 0.75 else 2))
    v.r.shuffle(labels)
    n = v.r.randint(2, 6)
    keep = set(v.r.sample([x for x in labels if x != t], n - 1)) | {t}
    return v.r.choice(DOC_T), text, obj(result=enum(*[x for x in labels if x in keep])), t


def urgent(v):
    u = v.r.random() < 0.5
    text = fill(v, v.r.choice(URGENT if u else CALM))
    if v.r.random() < 0.2:
        text += " " + fill(v, v.r.choice(URGENT if u else CALM))
    if v.r.random() < 0.35:
        a, b = "urgent", "not urgent"
        labels = [a, b] if v.r.random() < 0.5 else [b, a]
        return v.r.choice(("Classify the urgency of the message.", "How urgent is the message?")), text, obj(result=enum(*labels)), a if u else b
    return v.r.choice(DOC_U), text, obj(result=BOOL), u


def make(v):
    doc, text, schema, res = v.r.choice((sentiment, sentiment, sentiment, topic, topic, urgent))(v)
    ex = {}
    if v.r.random() < 0.8:
        ex = dict(doc=doc, inputs={v.r.choice(PARAM): text})
        prompt = instruction(doc, ex["inputs"], schema=schema)
    else:
        prompt = instruction(doc, context={v.r.choice(("text", "doc", "message", "review")): text}, schema=schema)
    return dict(task="classification", messages=[{"role": "user", "content": prompt}], schema=schema, answer=compact({"result": res}), **ex)
