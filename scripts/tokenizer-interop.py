#!/usr/bin/env python3
"""Compares the ids of specbook's tokenizers with those of the Python packages sentencepiece, tiktoken and tokenizers.

    python3 -m venv venv && venv/bin/pip install sentencepiece tiktoken tokenizers
    SPECBOOK_TEST_DATA=DIR venv/bin/python scripts/tokenizer-interop.py [TEST-PROGRAM]

DIR holds real tokenizers (llama-tokenizer/tokenizer.model, stories260K/tok512.model, gpt2-tokenizer/…); missing ones are
skipped with a message. Small SentencePiece models of every kind are trained here. TEST-PROGRAM is the program printed by
`cargo test --lib --no-run`; without it, cargo builds it. Exit code 1 if any id differs.
"""

import base64
import io
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import sentencepiece
import tiktoken
import tokenizers

HARD = [
    "", " ", "  ", "   leading", "trailing   ", "a  b   c", "\n", "\n\n  \n", "tab\tand\r\nline", "Once upon a time, there was.",
    "It's we'll they've I'D", "12345 67,890.12", "ä ö ü ß é ñ", "Привет, мир!", "日本語です。 中文", "👍🏽 👨‍👩‍👧 🇩🇪", "\u2028\u2029\u00a0x",
    "<s> </s> <unk> <|endoftext|>", "[x][x] a[x]b", "\u2581\u2581a", "\x00\x01\x7f", "ﬁ ① Å e\u0301", "def f(x):\n    return x ** 2\n",
    "ZZZZ" * 50, " " * 40 + "x", "aaaa aaaaa aaaaaa", "\ufffd \ufeff",
]


def texts_of(data):
    texts = list(HARD)
    for name in ("tinystories-train-head/TinyStories-train-head-2MiB.txt", "tinyshakespeare/input.txt", "wikitext-2/valid.txt"):
        path = data / name
        if path.exists():
            text = path.read_text(encoding="utf-8")
            texts += [text[at : at + 700] for at in range(0, min(len(text), 210_000), 700)]
    rng = random.Random(1)
    alphabet = "ab c\n\tZ0.,'é漢😀[x]\u2581<>|"
    texts += ["".join(rng.choice(alphabet) for _ in range(rng.randrange(60))) for _ in range(300)]
    return texts


def small_models(folder, texts):
    """SentencePiece models of both kinds, with and without byte fallback, user-defined pieces and normalization."""
    sentences = [line for text in texts for line in text.splitlines() if line.strip()]
    for kind in ("bpe", "unigram"):
        for number, options in enumerate((
            {},
            {"byte_fallback": True, "normalization_rule_name": "identity", "remove_extra_whitespaces": False},
            {"user_defined_symbols": ["[x]", "a b", "<|sep|>"], "byte_fallback": True},
            {"add_dummy_prefix": False, "split_by_whitespace": False},
            {"treat_whitespace_as_suffix": True},
        )):
            model = io.BytesIO()
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(sentences), model_writer=model, model_type=kind, vocab_size=700,
                hard_vocab_limit=False, minloglevel=2, character_coverage=0.98, **options)
            path = folder / f"{kind}-{number}.model"
            path.write_bytes(model.getvalue())
            yield path


def cases(data, folder, texts):
    """Name, setting in a spec, and a function from text to ids."""
    models = [data / "llama-tokenizer/tokenizer.model", data / "stories260K/tok512.model"]
    for path in [path for path in models if path.exists()] + list(small_models(folder, texts)):
        model = sentencepiece.SentencePieceProcessor(model_file=str(path))
        yield path.name, {"sentencepiece": str(path)}, model.encode
    gpt2 = data / "gpt2-tokenizer"
    if (gpt2 / "vocab.json").exists():
        reference = tokenizers.Tokenizer.from_file(str(gpt2 / "tokenizer.json"))
        reference.encode_special_tokens = True
        encode = lambda text: reference.encode(text, add_special_tokens=False).ids
        yield "gpt2 files", {"gpt2": str(gpt2)}, encode
        ranks = gpt2_ranks(json.loads((gpt2 / "vocab.json").read_text(encoding="utf-8")))
        path = folder / "gpt2.tiktoken"
        path.write_text("".join(f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in ranks.items()))
        for pattern, regex in PATTERNS.items():
            encoding = tiktoken.Encoding(pattern, pat_str=regex, mergeable_ranks=ranks, special_tokens={"<|endoftext|>": len(ranks)})
            yield f"tiktoken {pattern}", {"tiktoken": {"path": str(path), "pattern": pattern}}, encoding.encode_ordinary


PATTERNS = {
    "gpt2": r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s""",
    "cl100k": r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s""",
}


def gpt2_ranks(vocabulary):
    """GPT-2's vocabulary as bytes and ranks."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {chr(byte): byte for byte in printable}
    letters |= {chr(256 + number): byte for number, byte in enumerate(byte for byte in range(256) if byte not in printable)}
    return {bytes(letters[c] for c in token): rank for token, rank in vocabulary.items() if token != "<|endoftext|>"}


def main():
    data = Path(os.environ.get("SPECBOOK_TEST_DATA", "no-test-data"))
    if not (data / "llama-tokenizer").exists():
        print("SPECBOOK_TEST_DATA names no real tokenizers: only small models are compared", file=sys.stderr)
    texts = texts_of(data)
    with tempfile.TemporaryDirectory() as folder:
        found = list(cases(data, Path(folder), texts))
        question = Path(folder) / "question.json"
        question.write_text(json.dumps([[json.dumps(settings), texts] for _, settings, _ in found]))
        program = sys.argv[1:2] or ["cargo", "test", "--lib", "--"]
        command = [*program, "--ignored", "--exact", "data::tokenizer::tests::ids_for_other_programs"]
        subprocess.run(command, check=True, env={**os.environ, "SPECBOOK_INTEROP": str(question)}, stdout=subprocess.DEVNULL)
        answers = json.loads(question.with_name("question.json.ids").read_text())
    failed = False
    for (name, _, encode), answer in zip(found, answers):
        wrong = [(text, ids, encode(text)) for text, (ids, _) in zip(texts, answer) if ids != encode(text)]
        failed |= bool(wrong)
        print(f"{name}: {len(texts) - len(wrong)} of {len(texts)} texts have equal ids")
        for text, ours, theirs in wrong[:3]:
            print(f"  {text[:60]!r}\n    ours   {ours[:24]}\n    theirs {theirs[:24]}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
