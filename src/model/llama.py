"""The Llama architecture in PyTorch: parameters under Hugging Face's names, arithmetic in fp32."""

import torch
from torch.nn import functional

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 256,
    "hidden_size": 128,
    "intermediate_size": 192,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "max_position_embeddings": 768,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "attention_bias": False,
    "mlp_bias": False,
    "tie_word_embeddings": True,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "torch_dtype": "float16",
}
HEADS, KEY_HEADS, HEAD = CONFIG["num_attention_heads"], CONFIG["num_key_value_heads"], CONFIG["head_dim"]
LAYERS, HIDDEN, EPS = CONFIG["num_hidden_layers"], CONFIG["hidden_size"], CONFIG["rms_norm_eps"]


def parameters():
    """Fresh parameters: name to tensor, weights [out][in]."""
    ff = CONFIG["intermediate_size"]
    shapes = {"self_attn.q_proj": (HEADS * HEAD, HIDDEN), "self_attn.k_proj": (KEY_HEADS * HEAD, HIDDEN),
              "self_attn.v_proj": (KEY_HEADS * HEAD, HIDDEN), "self_attn.o_proj": (HIDDEN, HEADS * HEAD),
              "mlp.gate_proj": (ff, HIDDEN), "mlp.up_proj": (ff, HIDDEN), "mlp.down_proj": (HIDDEN, ff)}
    p = {"model.embed_tokens.weight": 0.02 * torch.randn(CONFIG["vocab_size"], HIDDEN)}
    for layer in range(LAYERS):
        for name, (n, k) in shapes.items():
            # What is added to the residual starts smaller: there are 2 * LAYERS of these.
            smaller = (2 * LAYERS) ** -0.5 if name.endswith(("o_proj", "down_proj")) else 1
            p[f"model.layers.{layer}.{name}.weight"] = smaller * k ** -0.5 * torch.randn(n, k)
        p[f"model.layers.{layer}.input_layernorm.weight"] = torch.ones(HIDDEN)
        p[f"model.layers.{layer}.post_attention_layernorm.weight"] = torch.ones(HIDDEN)
    p["model.norm.weight"] = torch.ones(HIDDEN)
    return p


def logits(p, ids):
    """Logits [batch][position][vocabulary] of ids [batch][position]."""
    batch, length = ids.shape
    cos, sin = rotation(length)
    x = p["model.embed_tokens.weight"][ids]
    for layer in range(LAYERS):
        def linear(name, rows):
            return rows @ p[f"model.layers.{layer}.{name}.weight"].T

        def heads(name, rows):
            return linear(name, rows).view(batch, length, -1, HEAD).transpose(1, 2)

        h = norm(x, p[f"model.layers.{layer}.input_layernorm.weight"])
        q = rotate(heads("self_attn.q_proj", h), cos, sin)
        k = rotate(heads("self_attn.k_proj", h), cos, sin).repeat_interleave(HEADS // KEY_HEADS, 1)
        v = heads("self_attn.v_proj", h).repeat_interleave(HEADS // KEY_HEADS, 1)
        attended = functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(batch, length, -1)
        x = x + linear("self_attn.o_proj", attended)
        h = norm(x, p[f"model.layers.{layer}.post_attention_layernorm.weight"])
        x = x + linear("mlp.down_proj", functional.silu(linear("mlp.gate_proj", h)) * linear("mlp.up_proj", h))
    return norm(x, p["model.norm.weight"]) @ p["model.embed_tokens.weight"].T


def norm(x, weight):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS) * weight


def rotation(length):
    angles = torch.outer(torch.arange(length, dtype=torch.float64),
                         CONFIG["rope_theta"] ** (-torch.arange(0, HEAD, 2, dtype=torch.float64) / HEAD))
    angles = torch.cat([angles, angles], -1)
    return angles.cos().float(), angles.sin().float()


def rotate(x, cos, sin):
    """Element i turns with element i + HEAD / 2."""
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat([-second, first], -1) * sin
