"""Checks what specbook writes and reads against the programs that it is written for.

Called by scripts/interop.sh, which makes the environments. Each check is a function that yields rows
`program, version, what was loaded, result`; a check whose package is missing says so.
"""

import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys

SPECBOOK = os.environ["SPECBOOK"]
WORK = pathlib.Path(os.environ["WORK"])
DATA = pathlib.Path(os.environ.get("SPECBOOK_TEST_DATA", "/nowhere"))
PROMPT = "Once upon a time"
FAILED = []

SPEC = """
specbook: 1
name: interop
title: Models for other programs
base:
  data:
    corpus: {stories: {version: 1}}
    tokenizer: {train_bpe: {vocab_size: 600, documents: 200}}
    train: 200
    validation: 20
  model: {dim: 64, n_layers: 3, n_heads: 4, max_seq_len: 256}
  train:
    batch_size: 8
    optimizer: {adamw: {learning_rate: 3e-3}}
    validate: {every: end}
  eval: {perplexity: {documents: 20}}
cases:
  llama: {}
  llama-grouped-tied: {model.n_kv_heads: 2, model.tied_output: true}
  llama-theta: {model.rope_theta: 500000, model.norm_eps: 1e-6}
  gpt2: {model.arch: gpt2}
  gpt2-biases-untied: {model.arch: gpt2, model.biases: true, model.tied_output: false}
cells:
  - plan: all
"""


def version(package):
    return importlib.metadata.version(package)


def specbook(*arguments, input=None, code=0):
    done = subprocess.run([SPECBOOK, *map(str, arguments)], cwd=WORK, capture_output=True, text=True, input=input)
    if done.returncode != code:
        raise AssertionError(f"specbook {' '.join(map(str, arguments))}: code {done.returncode}\n{done.stderr}")
    return done.stdout


def result(*arguments):
    return json.loads(specbook(*arguments, "--format", "json"))


def runs():
    spec = WORK / "specs" / "interop.yaml"
    spec.parent.mkdir(parents=True, exist_ok=True)
    (WORK / ".git").mkdir(exist_ok=True)
    spec.write_text(SPEC)
    specbook("run", spec, "--no-report", "-q")
    return [f"interop/{run['name']}" for run in result("ls")["runs"]]


def row(program, loaded, ok, measured):
    if not ok:
        FAILED.append(f"{program}: {loaded}")
    print(f"| {program} | {version(program)} | {loaded} | {'ok' if ok else 'FAILED'}: {measured} |", flush=True)


def skip(what, reason):
    print(f"| {what} | – | – | SKIPPED: {reason} |", flush=True)


def ours(model):
    logits = result("logits", model, "--prompt", PROMPT)
    sample = result("sample", model, "--prompt", PROMPT, "--temperature", 0, "--max-new-tokens", 200)["samples"][0]
    return logits["ids"], logits["logits"], sample


def hf():
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(1)
    names = runs()
    models = [(name, name) for name in names]
    stories = DATA / "stories260K"
    if stories.is_dir():
        specbook("import", stories / "stories260K.bin", "--tokenizer", stories / "tok512.model")
        models.append(("stories260K", "stories260K"))
    else:
        skip("transformers: stories260K", f"no {stories}")
    for name, model in models:
        folder = WORK / "hf" / name.replace("/", "-")
        specbook("export", model, folder, "--to", "hf")
        theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
        ids, logits, sample = ours(model)
        encoded = tokenizer(PROMPT, return_tensors="pt").input_ids
        same_ids = encoded[0].tolist() == ids
        with torch.no_grad():
            difference = (theirs(encoded).logits[0] - torch.tensor(logits)).abs().max().item()
            text = theirs.generate(encoded, max_new_tokens=200, do_sample=False)[0].tolist()[len(ids):]
        end = tokenizer.eos_token_id
        text = text[: text.index(end)] if end in text else text
        same_text = text == sample["ids"]
        decoded = tokenizer.decode(ids + text, skip_special_tokens=True)
        same_words = decoded == PROMPT + sample["continuation"]
        row("transformers", f"{name} (hf)", same_ids and same_text and same_words and difference < 1e-4,
            f"logits differ by at most {difference:.1e}; {len(text)} greedy tokens "
            f"{'equal' if same_text else 'DIFFER'}; ids {'equal' if same_ids else 'DIFFER'}; text {'equal' if same_words else 'DIFFERS'}")
        # And back: the folder is a model here.
        again = result("logits", folder, "--prompt", PROMPT)
        row("transformers", f"{name} (read back here)", again["ids"] == ids and again["logits"] == logits, "the same bits")


def hf_import():
    """Models that transformers made itself, random ones, are read here: one file, shards, other number formats."""
    import torch
    from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(1)
    source = WORK / "hf" / "interop-llama"
    tokenizer = AutoTokenizer.from_pretrained(source)
    size = len(tokenizer)
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    cases = {
        "LlamaForCausalLM": (LlamaForCausalLM(LlamaConfig(vocab_size=size, hidden_size=96, intermediate_size=200, num_hidden_layers=3,
            num_attention_heads=6, num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-5, **ends)), {}, 1e-4),
        "LlamaForCausalLM, shards, bf16": (LlamaForCausalLM(LlamaConfig(vocab_size=size, hidden_size=96, intermediate_size=200,
            num_hidden_layers=3, num_attention_heads=6, tie_word_embeddings=True, max_position_embeddings=64, **ends)).to(torch.bfloat16),
            {"max_shard_size": "100KB"}, 1e-4),
        "GPT2LMHeadModel, gelu": (GPT2LMHeadModel(GPT2Config(vocab_size=size, n_embd=96, n_layer=3, n_head=6, n_positions=64,
            activation_function="gelu", **ends)), {}, 1e-4),
        "GPT2LMHeadModel, gelu_new (told)": (GPT2LMHeadModel(GPT2Config(vocab_size=size, n_embd=96, n_layer=3, n_head=6, n_positions=64,
            initializer_range=0.2, **ends)), {}, 0.05),
    }
    for name, (model, options, bound) in cases.items():
        folder = WORK / "theirs" / name.replace(" ", "-").replace(",", "").replace("(", "").replace(")", "")
        model.save_pretrained(folder, **options)
        tokenizer.save_pretrained(folder)
        read = result("logits", folder, "--prompt", PROMPT)
        with torch.no_grad():
            logits = model.float().eval()(torch.tensor([read["ids"]])).logits[0]
        difference = (logits - torch.tensor(read["logits"])).abs().max().item()
        row("transformers", f"{name} (read here)", difference < bound, f"logits differ by at most {difference:.1e}")


def gguf_models():
    names = [name for name in runs() if "gpt2" not in name]
    stories = DATA / "stories260K"
    if stories.is_dir():
        specbook("import", stories / "stories260K.bin", "--tokenizer", stories / "tok512.model")
        names.append("stories260K")
    else:
        skip("gguf: stories260K", f"no {stories}")
    return names


def exported(name, to):
    folder = WORK / to / name.replace("/", "-")
    told = json.loads(specbook("export", name, folder, "--to", to, "--format", "json"))["notes"]
    return folder / "model.gguf", told


def gguf():
    """The Python package of llama.cpp's authors reads every field, and every tensor value for value."""
    import numpy
    from gguf import GGUFReader, dequantize
    from safetensors.numpy import load_file

    for name in gguf_models():
        specbook("export", name, WORK / "hf" / name.replace("/", "-"), "--to", "hf")
        theirs = load_file(WORK / "hf" / name.replace("/", "-") / "model.safetensors")
        ours = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
                "blk.0.attn_v.weight": "model.layers.0.self_attn.v_proj.weight", "blk.1.ffn_down.weight": "model.layers.1.mlp.down_proj.weight"}
        for to, bound in [("gguf", 0.0), ("gguf-f16", 1e-3), ("gguf-q8_0", 1e-2)]:
            file, told = exported(name, to)
            reader = GGUFReader(file)
            tensors = {tensor.name: dequantize(tensor.data, tensor.tensor_type) for tensor in reader.tensors}
            largest = max(numpy.abs(tensors[mine].reshape(theirs[his].shape) - theirs[his]).max() for mine, his in ours.items())
            fields = {key: field.contents() for key, field in reader.fields.items()}
            whole = fields["general.architecture"] == "llama" and len(fields["tokenizer.ggml.tokens"]) == fields["llama.vocab_size"]
            row("gguf", f"{name} ({to})", whole and largest <= bound, f"{len(tensors)} tensors, values differ by at most {largest:.1e}")


def llamacpp():
    """llama.cpp itself, as a wheel ships it, computes the same logits and the same greedy text, and cuts the prompt the same way."""
    from llama_cpp_py_sync import Llama
    import numpy

    for name in gguf_models():
        ids, logits, sample = ours(name)
        logits = numpy.array(logits)
        for to, bound in [("gguf", 1e-2), ("gguf-f16", 0.1), ("gguf-q8_0", 0.5)]:
            file, told = exported(name, to)
            model = Llama(str(file), n_ctx=256, n_threads=1, type_k="f32", type_v="f32", flash_attn_type=0)

            def step(token, past):
                model._eval_tokens([token], past)
                pointer = model._lib.llama_get_logits_ith(model._ctx, -1)
                return numpy.frombuffer(model._ffi.buffer(pointer, 4 * model.n_vocab), dtype=numpy.float32).copy()

            encoded = model.tokenize(PROMPT)
            if encoded != ids:
                row("llama-cpp-py-sync", f"{name} ({to})", False, f"ids differ: {encoded} and {ids}")
                continue
            rows = [step(token, past) for past, token in enumerate(ids)]
            difference = numpy.abs(numpy.array(rows) - logits).max()
            text, last = [], rows[-1]
            for past in range(len(ids), len(ids) + len(sample["ids"])):
                text.append(int(last.argmax()))
                last = step(text[-1], past)
            same = next((at for at, (a, b) in enumerate(zip(text, sample["ids"])) if a != b), len(text))
            exact = to != "gguf" or same == len(text)
            row("llama-cpp-py-sync", f"{name} ({to})", difference < bound and exact,
                f"ids equal; logits differ by at most {difference:.1e}; {same} of {len(text)} greedy tokens equal"
                + (f"; we told: {told[-1]}" if told else ""))
            model.close()


CHECKS = {"hf": hf, "hf_import": hf_import, "gguf": gguf, "llamacpp": llamacpp}

if __name__ == "__main__":
    for check in sys.argv[1:]:
        try:
            CHECKS[check]()
        except ImportError as error:
            skip(check, error)
        except Exception as error:  # The table goes on; the exit code tells.
            FAILED.append(check)
            print(f"| {check} | – | – | FAILED: {str(error).strip()} |", flush=True)
    sys.exit(1 if FAILED else 0)
