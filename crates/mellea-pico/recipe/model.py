"""A small Granite decoder in plain PyTorch, equal to transformers' `GraniteForCausalLM`.

Written out because a training step over 2 M parameters is dominated by framework overhead.
Parameter names equal those of transformers, so a state dict moves over unchanged.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

CONFIG = dict(
    hidden_size=160,
    intermediate_size=320,
    num_hidden_layers=6,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=1024,
    rms_norm_eps=1e-5,
    rope_theta=10000.0,
    embedding_multiplier=4.0,
    attention_multiplier=0.2,
    residual_multiplier=0.35,
    logits_scaling=3.0,
)


class RMSNorm(nn.Module):
    def __init__(self, dim, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x):
        return F.rms_norm(x.float(), (x.shape[-1],), self.weight.float(), self.eps).to(self.weight.dtype)


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, self.h, self.kv = c["hidden_size"], c["num_attention_heads"], c["num_key_value_heads"]
        self.hd = d // self.h
        self.q_proj = nn.Linear(d, d, bias=False)
        self.k_proj = nn.Linear(d, self.kv * self.hd, bias=False)
        self.v_proj = nn.Linear(d, self.kv * self.hd, bias=False)
        self.o_proj = nn.Linear(d, d, bias=False)
        self.scale = c["attention_multiplier"]

    def forward(self, x, cos, sin, mask):
        b, t, d = x.shape
        w = torch.cat((self.q_proj.weight, self.k_proj.weight, self.v_proj.weight))
        qk, v = F.linear(x, w).view(b, t, -1, self.hd).transpose(1, 2).split((self.h + self.kv, self.kv), 1)
        q, k = rotate(qk, cos, sin).split((self.h, self.kv), 1)
        # query heads of one key head are folded into the time axis: plain batched products, no copies of k and v
        q, k, v = (y.reshape(b * self.kv, -1, self.hd) for y in (q, k, v))
        a = torch.baddbmm(mask, q, k.transpose(1, 2), alpha=self.scale).softmax(-1)
        o = torch.bmm(a, v).view(b, self.h, t, self.hd)
        return self.o_proj(o.transpose(1, 2).reshape(b, t, d))


class MLP(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, i = c["hidden_size"], c["intermediate_size"]
        self.gate_proj = nn.Linear(d, i, bias=False)
        self.up_proj = nn.Linear(d, i, bias=False)
        self.down_proj = nn.Linear(i, d, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.self_attn = Attention(c)
        self.mlp = MLP(c)
        self.input_layernorm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])
        self.post_attention_layernorm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])
        self.res = c["residual_multiplier"]

    def forward(self, h, cos, sin, mask, keep=None):
        h = h + self.self_attn(self.input_layernorm(h), cos, sin, mask) * self.res
        if keep is not None:  # last layer: only positions that carry loss go on
            h = h.flatten(0, 1)[keep]
        return h + self.mlp(self.post_attention_layernorm(h)) * self.res


class Granite(nn.Module):
    def __init__(self, vocab_size, c=CONFIG):
        super().__init__()
        self.c = c
        self.model = nn.Module()
        self.model.embed_tokens = nn.Embedding(vocab_size, c["hidden_size"])
        self.model.layers = nn.ModuleList(Layer(c) for _ in range(c["num_hidden_layers"]))
        self.model.norm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])
        hd = c["hidden_size"] // c["num_attention_heads"]
        freq = c["rope_theta"] ** (-torch.arange(0, hd, 2).float() / hd)
        ang = torch.outer(torch.arange(c["max_position_embeddings"]).float(), freq)
        self.register_buffer("cos", ang.cos(), persistent=False)
        self.register_buffer("sin", ang.sin(), persistent=False)
        self.init()

    def init(self):
        nn.init.normal_(self.model.embed_tokens.weight, std=0.25)
        for n, p in self.named_parameters():
            if n.endswith("_proj.weight"):
                nn.init.normal_(p, std=p.shape[1] ** -0.5)
                if "o_proj" in n or "down_proj" in n:
                    nn.init.zeros_(p)

    def forward(self, ids, keep=None):
        """Logits of every position, or (flat) of the positions listed in `keep`."""
        c, t = self.c, ids.shape[1]
        emb = self.model.embed_tokens
        cos, sin = (y[:t].to(emb.weight.dtype) for y in (self.cos, self.sin))
        mask = torch.full((t, t), float("-inf"), dtype=emb.weight.dtype).triu(1)
        mask = mask.repeat(c["num_attention_heads"] // c["num_key_value_heads"], 1)
        h = emb(ids).float() * c["embedding_multiplier"]
        last = len(self.model.layers) - 1
        for i, layer in enumerate(self.model.layers):
            h = layer(h, cos, sin, mask, keep if i == last else None)
        return F.linear(self.model.norm(h), emb.weight) / c["logits_scaling"]
