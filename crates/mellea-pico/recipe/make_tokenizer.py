"""Builds tokenizer.json: whole frequent words, everything else byte by byte. `python make_tokenizer.py OUT_DIR`

No merges. A piece is one token when it is a known word, otherwise it falls to single bytes. Names and values
never become words, so copying one is the same per-character step for every name, seen or unseen.
"""
import json
import re
import sys
from collections import Counter
from itertools import islice

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

from data import SEED_TRAIN, stream
from prompts import EOR, EOS, PAD, SOR, chat
from words import VALUE_WORDS

SPLIT = r" ?\p{L}+|\n+| ?[^\s\p{L}\p{N}]+|\p{N}|\s"
SIZE = 980
MARKS = re.compile("|".join(map(re.escape, (EOS, SOR, EOR, "<tool_call>", "</tool_call>"))))
NO_WORD = re.compile(r"[a-f]{2}$|Ġ[A-Z]$")  # pieces of hex fences, single initials


def build(samples=60_000):
    pre = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    count = Counter()
    for e in islice(stream(SEED_TRAIN), samples):
        text = chat(e["messages"], e.get("tools")) + EOS + e["answer"]
        for part in MARKS.split(text):
            count.update(piece for piece, _ in pre.pre_tokenize_str(part))
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [
        w for w, n in count.most_common()
        if len(w) > 1 and n >= 40 and w.lstrip("Ġ").lower() not in VALUE_WORDS and not NO_WORD.match(w)
    ]
    vocab = {t: i for i, t in enumerate(alphabet + words[: SIZE - len(alphabet)])}
    tok = Tokenizer(models.BPE(vocab=vocab, merges=[], ignore_merges=True))
    tok.pre_tokenizer = pre
    tok.decoder = decoders.ByteLevel()
    tok.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in (EOS, SOR, EOR, PAD)])
    tok.add_tokens([AddedToken(t, special=False, normalized=False) for t in ("<tool_call>", "</tool_call>")])
    return tok


def save(tok, out):
    tok.save(f"{out}/tokenizer.json")
    config = dict(
        tokenizer_class="PreTrainedTokenizerFast", bos_token=EOS, eos_token=EOS, pad_token=PAD, clean_up_tokenization_spaces=False,
        model_max_length=1024, padding_side="left", additional_special_tokens=[SOR, EOR],
    )
    with open(f"{out}/tokenizer_config.json", "w") as f:
        json.dump(config, f, indent=2)
        f.write("\n")


if __name__ == "__main__":
    save(build(), sys.argv[1])
