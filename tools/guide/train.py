"""Train the built-in guide model and write it as GGUF (llama architecture, Q8_0).

Usage: train.py OUT.gguf [--minutes 60]
Needs Debian's python3-torch, python3-sentencepiece, python3-numpy and wamerican.
"""
import argparse
import io
import math
import os
import random
import sys
import time

import sentencepiece as spm
import torch
import torch.nn as nn
import torch.nn.functional as F

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import corpus
import gguf

IM_START, IM_END = "<|im_start|>", "<|im_end|>"
CONTEXT = 2048
ROPE_BASE = 10000.0
NORM_EPSILON = 1e-5
TEMPLATE = (
    "{% for m in messages %}"
    "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--kv", type=int, default=4)
    parser.add_argument("--ffn", type=int, default=704)
    parser.add_argument("--vocab", type=int, default=2048)
    parser.add_argument("--seq", type=int, default=256)
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=11)
    return parser.parse_args()


# --- tokenizer ----------------------------------------------------------------


def train_tokenizer(rng, words, vocab):
    lines = [text for _ in range(30000) for _, text in corpus.dialogue(rng, words)] + words
    model = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        model_type="bpe",
        vocab_size=vocab,
        byte_fallback=True,
        character_coverage=1.0,
        num_threads=2,
        control_symbols=[IM_START, IM_END],
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        normalization_rule_name="identity",
        split_digits=True,
        pad_id=-1,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        max_sentence_length=4096,
        minloglevel=2,
    )
    return spm.SentencePieceProcessor(model_proto=model.getvalue())


def encode(tokenizer, dialogue):
    """Token ids and loss mask (1 where the assistant speaks) of one dialogue."""
    start, end = tokenizer.piece_to_id(IM_START), tokenizer.piece_to_id(IM_END)
    ids, mask = [tokenizer.bos_id()], [0]
    for role, text in dialogue:
        head = [start] + tokenizer.encode(role + "\n")
        body = tokenizer.encode(text) + [end]
        tail = tokenizer.encode("\n")
        ids += head + body + tail
        speaks = int(role == "assistant")
        mask += [0] * len(head) + [speaks] * len(body) + [0] * len(tail)
    return ids, mask


def batches(tokenizer, rng, words, batch, seq, device):
    """Dialogues packed end to end: inputs, the tokens after them, and the loss mask of those."""
    ids, mask = [], []
    need = batch * seq + 1
    while True:
        while len(ids) < need:
            more_ids, more_mask = encode(tokenizer, corpus.dialogue(rng, words))
            ids += more_ids
            mask += more_mask
        x = torch.tensor(ids[:need])
        m = torch.tensor(mask[:need], dtype=torch.float32)
        ids, mask = ids[need - 1 :], mask[need - 1 :]
        yield tuple(t.view(batch, seq).to(device) for t in (x[:-1], x[1:], m[1:]))


# --- model (llama) ------------------------------------------------------------


class Norm(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.w = nn.Parameter(torch.ones(size))

    def forward(self, x):
        scale = torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + NORM_EPSILON)
        return (x.float() * scale).type_as(x) * self.w.type_as(x)


def rope(x, cos, sin):
    """Interleaved pairs, as llama.cpp's NORM rope."""
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2)


def linear(inputs, outputs):
    return nn.Linear(inputs, outputs, bias=False)


class Block(nn.Module):
    def __init__(self, args):
        super().__init__()
        self.heads, self.kv = args.heads, args.kv
        self.head_size = args.dim // args.heads
        kv_size = args.kv * self.head_size
        self.attn_norm, self.ffn_norm = Norm(args.dim), Norm(args.dim)
        self.attn_q = linear(args.dim, args.dim)
        self.attn_k = linear(args.dim, kv_size)
        self.attn_v = linear(args.dim, kv_size)
        self.attn_output = linear(args.dim, args.dim)
        self.ffn_gate = linear(args.dim, args.ffn)
        self.ffn_up = linear(args.dim, args.ffn)
        self.ffn_down = linear(args.ffn, args.dim)

    def split(self, x, heads):
        return x.view(x.shape[0], x.shape[1], heads, self.head_size).transpose(1, 2)

    def forward(self, x, cos, sin, bias):
        h = self.attn_norm(x)
        q = rope(self.split(self.attn_q(h), self.heads), cos, sin)
        k = rope(self.split(self.attn_k(h), self.kv), cos, sin)
        v = self.split(self.attn_v(h), self.kv)
        repeat = self.heads // self.kv
        k, v = k.repeat_interleave(repeat, 1), v.repeat_interleave(repeat, 1)
        weights = (q @ k.transpose(-1, -2)).float() / math.sqrt(self.head_size) + bias
        mixed = weights.softmax(-1).type_as(v) @ v
        x = x + self.attn_output(mixed.transpose(1, 2).reshape(x.shape))
        h = self.ffn_norm(x)
        return x + self.ffn_down(F.silu(self.ffn_gate(h)) * self.ffn_up(h))


class Model(nn.Module):
    def __init__(self, args):
        super().__init__()
        self.embedding = nn.Embedding(args.vocab, args.dim)
        self.blocks = nn.ModuleList(Block(args) for _ in range(args.layers))
        self.output_norm = Norm(args.dim)
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02)
        for block in self.blocks:
            for p in (block.attn_output.weight, block.ffn_down.weight):
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * args.layers))
        head_size = args.dim // args.heads
        frequencies = ROPE_BASE ** (-torch.arange(0, head_size, 2).float() / head_size)
        angles = torch.arange(4096).float()[:, None] * frequencies
        self.register_buffer("cos", angles.cos(), False)
        self.register_buffer("sin", angles.sin(), False)

    def forward(self, x, bias):
        h = self.embedding(x)
        length = x.shape[1]
        for block in self.blocks:
            h = block(h, self.cos[:length].type_as(h), self.sin[:length].type_as(h), bias)
        return self.output_norm(h)


def document_bias(x, bos):
    """Causal mask that also keeps packed dialogues apart (a dialogue starts at BOS)."""
    document = (x == bos).cumsum(1)
    length = x.shape[1]
    causal = torch.tril(torch.ones(length, length, dtype=torch.bool, device=x.device))
    seen = causal & (document[:, :, None] == document[:, None, :])
    bias = torch.zeros(x.shape[0], 1, length, length, device=x.device)
    return bias.masked_fill(~seen[:, None], -1e9)


# --- the file -----------------------------------------------------------------


def token_type(tokenizer, i):
    if tokenizer.is_unknown(i):
        return 2
    if tokenizer.is_control(i):
        return 3
    return 6 if tokenizer.is_byte(i) else 1


def add_architecture(file, args):
    file.add_string("general.architecture", "llama")
    file.add_string("general.name", "VX11 guide")
    file.add_string(
        "general.description", "Tiny built-in model that explains VX11 in English and Spanish"
    )
    file.add_uint32("general.file_type", 7)
    file.add_uint32("general.quantization_version", 2)
    file.add_uint32("llama.context_length", CONTEXT)
    file.add_uint32("llama.embedding_length", args.dim)
    file.add_uint32("llama.block_count", args.layers)
    file.add_uint32("llama.feed_forward_length", args.ffn)
    file.add_uint32("llama.attention.head_count", args.heads)
    file.add_uint32("llama.attention.head_count_kv", args.kv)
    file.add_float32("llama.attention.layer_norm_rms_epsilon", NORM_EPSILON)
    file.add_uint32("llama.rope.dimension_count", args.dim // args.heads)
    file.add_float32("llama.rope.freq_base", ROPE_BASE)
    file.add_uint32("llama.vocab_size", args.vocab)


def add_tokenizer(file, tokenizer, vocab):
    ids = range(vocab)
    file.add_string("tokenizer.ggml.model", "llama")
    file.add_strings("tokenizer.ggml.tokens", [tokenizer.id_to_piece(i) for i in ids])
    file.add_floats("tokenizer.ggml.scores", [tokenizer.get_score(i) for i in ids])
    file.add_integers("tokenizer.ggml.token_type", [token_type(tokenizer, i) for i in ids])
    file.add_uint32("tokenizer.ggml.bos_token_id", tokenizer.bos_id())
    file.add_uint32("tokenizer.ggml.eos_token_id", tokenizer.piece_to_id(IM_END))
    file.add_uint32("tokenizer.ggml.unknown_token_id", 0)
    file.add_bool("tokenizer.ggml.add_bos_token", 1)
    file.add_bool("tokenizer.ggml.add_eos_token", 0)
    file.add_bool("tokenizer.ggml.add_space_prefix", 0)
    file.add_string("tokenizer.chat_template", TEMPLATE)


def save(path, model, tokenizer, args):
    def weights(p):
        return p.detach().float().cpu().numpy()

    file = gguf.Writer()
    add_architecture(file, args)
    add_tokenizer(file, tokenizer, args.vocab)
    file.add_tensor("token_embd.weight", weights(model.embedding.weight))
    for i, block in enumerate(model.blocks):
        for name, p in (
            ("attn_norm", block.attn_norm.w),
            ("attn_q", block.attn_q.weight),
            ("attn_k", block.attn_k.weight),
            ("attn_v", block.attn_v.weight),
            ("attn_output", block.attn_output.weight),
            ("ffn_norm", block.ffn_norm.w),
            ("ffn_gate", block.ffn_gate.weight),
            ("ffn_up", block.ffn_up.weight),
            ("ffn_down", block.ffn_down.weight),
        ):
            file.add_tensor(f"blk.{i}.{name}.weight", weights(p))
    file.add_tensor("output_norm.weight", weights(model.output_norm.w))
    file.write(path)


# --- training -----------------------------------------------------------------


def learning_rate(args, step, share):
    """A hundred steps of warm-up, then a half cosine down to 3 %; share: of the time gone by."""
    warm = min(1, (step + 1) / 100)
    return args.lr * warm * (0.5 * (1 + math.cos(math.pi * min(1, share))) * 0.97 + 0.03)


def train_step(model, optimizer, args, device, bos, x, y, mask):
    with torch.autocast(device, dtype=torch.bfloat16):
        h = model(x, document_bias(x, bos))
        counts = mask.view(-1) > 0
        logits = h.view(-1, args.dim)[counts] @ model.embedding.weight.t()
    loss = F.cross_entropy(logits.float(), y.reshape(-1)[counts])
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return float(loss)


def report(step, seen, loss, losses, rate, seconds):
    sound = [v for v in losses if v == v]
    mean = sum(sound) / max(1, len(sound))
    print(
        f"step {step} tokens {seen / 1e6:.2f}M loss {loss:.4f} mean {mean:.4f} "
        f"lr {rate:.2e} {seen / seconds:.0f} tok/s",
        flush=True,
    )


def main():
    args = arguments()
    torch.manual_seed(args.seed)
    torch.set_num_threads(os.cpu_count())
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rng = random.Random(args.seed)
    words = corpus.load_words()
    tokenizer = train_tokenizer(rng, words, args.vocab)
    model = Model(args).to(device)
    size = sum(p.numel() for p in model.parameters())
    print(f"{size / 1e6:.2f}M parameters on {device}", flush=True)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=args.lr, betas=(0.9, 0.95), weight_decay=0.05
    )

    start = last = time.time()
    end = start + args.minutes * 60
    step = seen = 0
    losses = []
    for x, y, mask in batches(tokenizer, rng, words, args.batch, args.seq, device):
        rate = learning_rate(args, step, (time.time() - start) / (args.minutes * 60))
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = train_step(model, optimizer, args, device, tokenizer.bos_id(), x, y, mask)
        step += 1
        seen += x.numel()
        losses.append(loss)
        if time.time() - last > 30 or time.time() > end:
            report(step, seen, loss, losses, rate, time.time() - start)
            last = time.time()
            losses = []
            save(args.out, model, tokenizer, args)
        if time.time() > end:
            break
    save(args.out, model, tokenizer, args)


if __name__ == "__main__":
    main()
