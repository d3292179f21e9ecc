#!/usr/bin/env python3
"""The PyTorch side of the training comparison: one shape of `src/bench/shapes.json` per process.

The models are idiomatic PyTorch: `nn.Linear`, `F.rms_norm`, `F.scaled_dot_product_attention`,
`F.cross_entropy` over all logits, `torch.optim.AdamW` with its defaults. A step is forward, backward, update and
`zero_grad`; its time is measured as by `specbook bench`. Needs only torch.

    python benches/torch_train.py llama-l --mode eager --dtype f32 --threads 2 --seconds 8 --json
"""

import argparse
import json
import pathlib
import time

import torch
import torch.nn.functional as F
from torch import nn

SHAPES = pathlib.Path(__file__).parent.parent / "src" / "bench" / "shapes.json"
WARM_UP = 3


class RmsNorm(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        return F.rms_norm(x, self.weight.shape, self.weight, 1e-5)


class LayerNorm(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight, None, 1e-5)


class Block(nn.Module):
    """Attention and feed-forward layer of either architecture, without biases."""

    def __init__(self, shape):
        super().__init__()
        self.llama, dim, hidden = shape["arch"] == "llama", shape["dim"], shape["hidden_dim"]
        self.heads = shape["n_heads"]
        norm = RmsNorm if self.llama else LayerNorm
        linear = lambda inputs, outputs: nn.Linear(inputs, outputs, bias=False)
        self.norm1, self.norm2 = norm(dim), norm(dim)
        if self.llama:
            self.q, self.k, self.v = linear(dim, dim), linear(dim, dim), linear(dim, dim)
            self.gate = linear(dim, hidden)
        else:
            self.qkv = linear(dim, 3 * dim)
        self.out, self.up, self.down = linear(dim, dim), linear(dim, hidden), linear(hidden, dim)

    def forward(self, x, rotary):
        batch, length, dim = x.shape
        split = lambda y: y.view(batch, length, self.heads, -1).transpose(1, 2)  # (B, H, T, Dh)
        h = self.norm1(x)
        if self.llama:
            q, k, v = rotate(split(self.q(h)), rotary), rotate(split(self.k(h)), rotary), split(self.v(h))
        else:
            q, k, v = (split(y) for y in self.qkv(h).split(dim, -1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(batch, length, dim))
        h = self.norm2(x)
        h = F.silu(self.gate(h)) * self.up(h) if self.llama else F.gelu(self.up(h))
        return x + self.down(h)


def rotate(x, rotary):
    """Rotary positions in halves, as most PyTorch code has them (adjacent pairs cost the same or more)."""
    cos, sin = rotary
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class Model(nn.Module):
    def __init__(self, shape):
        super().__init__()
        dim, vocab, length = shape["dim"], shape["vocab_size"], shape["seq_len"]
        llama = shape["arch"] == "llama"
        self.tokens = nn.Embedding(vocab, dim)
        self.positions = None if llama else nn.Embedding(length, dim)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape["n_layers"]))
        self.norm = (RmsNorm if llama else LayerNorm)(dim)
        self.head = nn.Linear(dim, vocab, bias=False)
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, 0.0, 0.02)
        if not llama:
            self.head.weight = self.tokens.weight
        half = dim // shape["n_heads"] // 2
        frequencies = 10_000.0 ** (-torch.arange(half) / half)
        angles = torch.arange(length)[:, None] * frequencies[None]
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())
        self.register_buffer("order", torch.arange(length))

    def forward(self, ids, targets):
        x = self.tokens(ids)
        if self.positions is not None:
            x = x + self.positions(self.order)
        for block in self.blocks:
            x = block(x, (self.cos, self.sin))
        logits = self.head(self.norm(x))
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.reshape(-1))


def peak_rss_bytes():
    """The peak resident size of this process."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def main():
    shapes = json.loads(SHAPES.read_text())
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shape", choices=shapes)
    parser.add_argument("--mode", choices=["eager", "compile"], default="eager")
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--fused-adamw", action="store_true", help="AdamW(fused=True)")
    parser.add_argument("--batch", type=int, help="another batch size")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--steps", type=int, help="this many steps instead of --seconds")
    parser.add_argument("--memory-share", type=float, help="use at most this part of the GPU's memory")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    shape = shapes[args.shape]
    batch, length, vocab = args.batch or shape["batch_size"], shape["seq_len"], shape["vocab_size"]
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    if args.device == "cuda" and args.memory_share:
        torch.cuda.set_per_process_memory_fraction(args.memory_share)
    model = Model(shape).to(args.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True if args.fused_adamw else None)
    forward = torch.compile(model) if args.mode == "compile" else model
    batches = [torch.randint(vocab, (batch, length + 1), device=args.device) for _ in range(4)]

    def step(number):
        ids = batches[number % len(batches)]
        with torch.autocast(args.device, dtype=torch.bfloat16, enabled=args.dtype == "bf16"):
            loss = forward(ids[:, :-1], ids[:, 1:])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()  # waits for the device

    for number in range(WARM_UP):
        step(number)
    seconds, end = [], time.perf_counter() + args.seconds
    while len(seconds) < args.steps if args.steps else len(seconds) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        step(len(seconds))
        if args.device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    seconds.sort()
    rate = lambda s: batch * length / s
    result = {
        "format": 1,
        "shape": args.shape,
        "engine": f"torch {torch.__version__} {args.mode} {args.dtype} {args.device}",
        "threads": args.threads,
        "tokens_per_second": rate(seconds[len(seconds) // 2]),
        "best_tokens_per_second": rate(seconds[0]),
        "steps": len(seconds),
        "peak_rss_bytes": peak_rss_bytes(),
    }
    if args.device == "cuda":
        result["peak_device_bytes"] = torch.cuda.max_memory_allocated()
    if args.json:
        print(json.dumps(result))
    else:
        print(
            f"{args.shape}, {result['engine']}, {args.threads} threads: {result['tokens_per_second']:.0f} tokens/s "
            f"(best {result['best_tokens_per_second']:.0f}) over {len(seconds)} steps; "
            f"memory {result['peak_rss_bytes'] / 2**20:.0f} MiB"
        )


if __name__ == "__main__":
    main()
