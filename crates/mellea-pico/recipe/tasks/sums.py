"""Small sums, as plain questions and as generative functions."""
from prompts import INT, compact, instruction, obj

PLAIN = {
    "+": ["What is {a} + {b}?", "{a} + {b} = ?", "Add {a} and {b}.", "What is {a} plus {b}?", "Compute {a} + {b}.", "{a}+{b}", "How much is {a} + {b}?"],
    "-": ["What is {a} - {b}?", "{a} - {b} = ?", "Subtract {b} from {a}.", "What is {a} minus {b}?", "Compute {a} - {b}.", "How much is {a} - {b}?"],
    "*": ["What is {a} * {b}?", "{a} * {b} = ?", "Multiply {a} by {b}.", "What is {a} times {b}?", "Compute {a} * {b}."],
}
DOCS = {
    "+": ["Add two numbers.", "Add the two numbers.", "Compute the sum of a and b.", "Returns the sum."],
    "-": ["Subtract b from a.", "Compute a minus b.", "Returns the difference."],
    "*": ["Multiply two numbers.", "Compute the product of a and b.", "Returns the product."],
}


def make(v):
    op = v.r.choice("+++--*")
    if op == "*":
        a, b = v.num(0, 12), v.num(0, 12)
    else:
        a, b = v.num(0, 99), v.num(0, 99)
        if v.r.random() < 0.4:
            a, b = v.num(0, 12), v.num(0, 12)
        if op == "-" and b > a and v.r.random() < 0.8:
            a, b = b, a
    res = a + b if op == "+" else a - b if op == "-" else a * b
    if v.r.random() < 0.55:
        q = v.r.choice(PLAIN[op]).format(a=a, b=b)
        return dict(task="sums", messages=[{"role": "user", "content": q}], answer=str(res))
    schema, doc, inputs = obj(result=INT), v.r.choice(DOCS[op]), {"a": a, "b": b}
    return dict(task="sums", messages=[{"role": "user", "content": instruction(doc, inputs, schema=schema)}],
                schema=schema, doc=doc, inputs=inputs, answer=compact({"result": res}))
