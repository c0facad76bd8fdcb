"""Records what an OpenAI-compatible server really sends. `python record.py PORT OUT_DIR [NAME ...]`

One file NAME.json per exchange, with the request and the status, headers and body of the response; the body of a stream
is beside it, byte by byte, as NAME.sse. Only the paths of the recording machine are taken out. `interrupted`, two streams
at once, is recorded only when named.
"""
import http.client
import json
import os
import re
import sys
import threading

ASK = (
    "Extract the user's name and age from the text.\n\n"
    'text = "Bob Stone, aged 45, signed up yesterday."\n\n'
    'Answer with JSON: {"name": string, "age": integer}'
)
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
PERSON = {"name": "person", "strict": True, "schema": SCHEMA}
MANY = "one two three " * 600
TIME = {
    "type": "function",
    "function": {
        "name": "get_time",
        "description": "Get the current time in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_time", "arguments": '{"city":"Lima"}'}}
NAMED = {"type": "function", "function": {"name": "get_time"}}
PATHS = re.compile(r"(/[\w.@+-]+)+/(?=(site-packages|lib/python|[\w-]+\.gguf))")


def user(text):
    return [{"role": "user", "content": text}]


def after_call(content):
    """A chat that goes on from a tool's result; the content is that of the message with the call."""
    call = {"role": "assistant", **content, "tool_calls": [CALL]}
    return [*user("What time is it in Lima?"), call, {"role": "tool", "tool_call_id": "call_1", "content": "15:20"}]


def exchanges():
    """Names, and method, path and body of the requests."""
    time = {"messages": user("What time is it in Lima?"), "tools": [TIME]}
    chats = {
        "chat": {},
        "chat-stream": {"stream": True},
        "chat-stream-usage": {"stream": True, "stream_options": {"include_usage": True}},
        "content-parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": ASK}]}]},
        "developer-role": {"messages": [{"role": "developer", "content": "Be brief."}, *user(ASK)]},
        "json-schema": {"response_format": {"type": "json_schema", "json_schema": PERSON}},
        "json-object-with-schema": {"response_format": {"type": "json_object", "schema": SCHEMA}},
        "json-object": {"response_format": {"type": "json_object"}},
        "json-object-cut": {"messages": user("Say hello."), "response_format": {"type": "json_object"}, "max_tokens": 12},
        "bad-schema": {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nonsense"}}}},
        "tools": time,
        "tools-stream": {**time, "stream": True},
        "tools-auto": {**time, "tool_choice": "auto"},
        "tools-named": {**time, "tool_choice": NAMED},
        "tools-named-stream": {**time, "tool_choice": NAMED, "stream": True},
        "tools-required": {**time, "tool_choice": "required"},
        "tools-none": {**time, "tool_choice": "none"},
        "tool-result": {"messages": after_call({"content": None}), "tools": [TIME]},
        "tool-result-empty-content": {"messages": after_call({"content": ""}), "tools": [TIME]},
        "tool-result-no-content": {"messages": after_call({}), "tools": [TIME]},
        "logprobs": {"logprobs": True, "top_logprobs": 2, "max_tokens": 3},
        "logprobs-stream": {"logprobs": True, "top_logprobs": 2, "max_tokens": 3, "stream": True},
        "stop": {"stop": ["Stone"]},
        "max-tokens": {"max_tokens": 5},
        "max-tokens-stream": {"max_tokens": 5, "stream": True},
        "max-completion-tokens": {"max_completion_tokens": 5},
        "n-two": {"n": 2, "max_tokens": 5},
        "sampling": {
            "temperature": 0.8, "seed": 7, "top_p": 0.9, "frequency_penalty": 0.1, "presence_penalty": 0.1,
            "logit_bias": {"5": -100}, "user": "someone", "max_tokens": 5,
        },
        "unknown-field": {"no_such_field": 1, "max_tokens": 5},
        "wrong-model": {"model": "no-such-model", "max_tokens": 5},
        "wrong-type": {"temperature": "hot"},
        "bad-role": {"messages": [{"role": "nobody", "content": "x"}], "max_tokens": 5},
        "empty-messages": {"messages": [], "max_tokens": 5},
        "context-overflow": {"messages": user(MANY)},
        "context-overflow-stream": {"messages": user(MANY), "stream": True},
    }
    for name, more in chats.items():
        yield name, "POST", "/v1/chat/completions", {"model": "pico", "messages": user(ASK), "temperature": 0, **more}
    yield "bad-json", "POST", "/v1/chat/completions", '{"model": "pico", '
    yield "wrong-method", "GET", "/v1/chat/completions", None
    yield "unknown-path", "POST", "/v1/nothing", {}
    yield "models", "GET", "/v1/models", None
    for name, more in {
        "completions": {"prompt": "hello"},
        "completions-array": {"prompt": ["hello", "Find the"]},
        "completions-tokens": {"prompt": [260, 261]},
        "completions-stream": {"prompt": "hello", "stream": True},
        "completions-array-stream": {"prompt": ["hello", "Find the"], "stream": True},
        "completions-logprobs": {"prompt": "hello", "logprobs": 2},
    }.items():
        yield name, "POST", "/v1/completions", {"model": "pico", "temperature": 0, "max_tokens": 4, **more}
    yield "embeddings", "POST", "/v1/embeddings", {"model": "pico", "input": "hello"}


def record(port, out, name, method, path, body, started=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    sent = None if body is None else body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    headers = {"content-type": "application/json"}
    if key := os.environ.get("RECORD_API_KEY"):
        headers["authorization"] = f"Bearer {key}"
    connection.request(method, path, sent, headers)
    response = connection.getresponse()
    entry = {"request": {"method": method, "path": path}, "response": {"status": response.status}}
    if body is not None:
        entry["request"]["body"] = body
    entry["response"]["headers"] = {k.lower(): v for k, v in response.getheaders() if k.lower() not in ("date", "content-length")}
    data = b""
    try:
        while part := response.read1(65536):
            data += part
            if started and len(data) > 500:
                started.set()
    except http.client.IncompleteRead as e:
        data += e.partial
        entry["response"]["cut"] = "the last chunk is missing"
    data = PATHS.sub("", data.decode()).encode()
    if "event-stream" in (response.getheader("content-type") or ""):
        entry["response"]["stream"] = name + ".sse"
        with open(os.path.join(out, name + ".sse"), "wb") as f:
            f.write(data)
    else:
        try:
            entry["response"]["body"] = json.loads(data)
        except ValueError:
            entry["response"]["text"] = data.decode()
    with open(os.path.join(out, name + ".json"), "w", encoding="utf-8") as f:
        f.write(json.dumps(entry, indent=1, ensure_ascii=False).replace(MANY, "one two three … (600 times)") + "\n")
    print(f"{response.status} {name}", flush=True)


def interrupted(port, out):
    """A stream that a second request overtakes: llama-cpp-python ends it unless told otherwise."""
    long = {"model": "pico", "messages": user("Say hello."), "temperature": 0, "stream": True, "max_tokens": 600}
    long["response_format"] = {"type": "json_object"}
    started = threading.Event()
    first = threading.Thread(target=record, args=(port, out, "interrupted", "POST", "/v1/chat/completions", long, started))
    first.start()
    started.wait(30)
    record(port, out, "interrupting", "POST", "/v1/chat/completions", {**long, "response_format": {"type": "text"}})
    first.join()


def main():
    port, out, names = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    os.makedirs(out, exist_ok=True)
    for name, *exchange in exchanges():
        if not names or name in names:
            record(port, out, name, *exchange)
    if "interrupted" in names:
        interrupted(port, out)


if __name__ == "__main__":
    main()
