"""Checks specbook's imports and exports against the target programs.

Called by scripts/interop.sh, which makes the environments. Each check is a function that yields rows
`program, version, loaded item, result`; a check whose package is missing is reported as skipped.
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
    return sorted({f"interop/{run['name']}" for run in result("ls")["runs"] if run["status"] == "cached" and run["spec"] == "interop"})


def row_of(program, release, loaded, ok, measured):
    if not ok:
        FAILED.append(f"{program}: {loaded}")
    print(f"| {program} | {release} | {loaded} | {'ok' if ok else 'FAILED'}: {measured} |", flush=True)


def row(program, loaded, ok, measured):
    row_of(program, version(program), loaded, ok, measured)


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
        if name == "stories260K":
            same_cuts(tokenizer)
            losses(theirs, tokenizer)
        # And back: the folder is a model for specbook.
        again = result("logits", folder, "--prompt", PROMPT)
        row("transformers", f"{name} (read back here)", again["ids"] == ids and again["logits"] == logits, "the same bits")


def same_cuts(tokenizer):
    """The exported tokenizer gives SentencePiece's ids, also where spaces collapse."""
    import random

    import sentencepiece

    original = sentencepiece.SentencePieceProcessor(str(DATA / "stories260K" / "tok512.model"))
    chance = random.Random(1)
    texts = ["", " ", "   a  b    c  ", " leading", "trailing ", "a\n\n  b\tc \r\n", "\u2581\u2581a \u2581 b\u2581", "naïve 日本 😀 ﬁ e\u0301", "\u00a0x\u2028y\u3000z"]
    texts += ["".join(chance.choice("ab  \n\u2581.Zé") for _ in range(chance.randrange(40))) for _ in range(2000)]
    wrong = [text for text in texts if tokenizer(text).input_ids != [1] + original.encode(text)]
    row("sentencepiece", f"tok512.model against the exported tokenizer.json, {len(texts)} texts", not wrong, f"{len(wrong)} differ {wrong[:1]}")


def losses(theirs, tokenizer):
    """The loss of real stories, each with its end, truncated to the context."""
    import torch

    told = (DATA / "tinystories-v2-gpt4-head" / "TinyStoriesV2-GPT4-head.txt").read_text().split("<|endoftext|>")[:20]
    told = [story.strip() for story in told]
    (WORK / "twenty.txt").write_text("\n<|endoftext|>\n".join(told))
    found = result("eval", "stories260K", "--text", WORK / "twenty.txt")["documents"]
    worst, sums, count = 0.0, 0.0, 0
    for story, ours in zip(told, found, strict=True):
        ids = tokenizer(story).input_ids + [tokenizer.eos_token_id]
        if len(ids) > theirs.config.max_position_embeddings:
            continue  # Ours continues in another window.
        with torch.no_grad():
            logs = theirs(torch.tensor([ids[:-1]])).logits[0].log_softmax(-1)
        loss = -logs[torch.arange(len(ids) - 1), torch.tensor(ids[1:])].double().sum().item()
        worst = max(worst, abs(loss - ours["nll"]) / ours["tokens"])
        sums, count = sums + loss, count + len(ids) - 1
    row("transformers", "loss of stories260K on the stories among the first 20 of TinyStoriesV2-GPT4-head.txt that fit its context", worst < 1e-4,
        f"{sums / count:.4f} nats per token, a story's differs by at most {worst:.1e}")


def hf_import():
    """Random models made by transformers are imported: one file, shards, other number formats."""
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
    """The Python package of llama.cpp's authors reads every field and every tensor value."""
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
    """llama.cpp, from an npm package, computes the same probabilities and greedy text, and tokenises the prompt in the same way."""
    import numpy

    node = pathlib.Path(os.environ.get("INTEROP_NODE", "/nowhere"))
    package = node / "node_modules" / "node-llama-cpp" / "package.json"
    if not package.is_file():
        return skip("llama.cpp (node-llama-cpp)", f"not installed at {node}")
    script = pathlib.Path(__file__).with_name("llamacpp.mjs")
    for name in gguf_models():
        ids, logits, sample = ours(name)
        logits = numpy.array(logits)
        expected = logits - numpy.log(numpy.exp(logits - logits.max(1, keepdims=True)).sum(1, keepdims=True)) - logits.max(1, keepdims=True)
        for to, bound in [("gguf", 1e-3), ("gguf-f16", 0.05), ("gguf-q8_0", 0.3)]:
            file, told = exported(name, to)
            done = subprocess.run(["node", script, node, file, PROMPT, str(len(sample["ids"]))], capture_output=True, text=True)
            if done.returncode != 0:
                row_of("llama.cpp", "?", f"{name} ({to})", False, done.stderr.strip()[-300:])
                continue
            theirs = json.loads(done.stdout)
            release = f"{theirs['release']['release']} (node-llama-cpp {json.loads(package.read_text())['version']})"
            if theirs["ids"] != ids:
                row_of("llama.cpp", release, f"{name} ({to})", False, f"ids differ: {theirs['ids']} and {ids}")
                continue
            logs = numpy.array(theirs["logs"], dtype=float)
            likely = expected > numpy.log(1e-4)
            difference = numpy.abs(logs - expected)[likely].max()
            pairs = list(zip(theirs["text"], sample["ids"]))
            same = next((at for at, (a, b) in enumerate(pairs) if a != b), len(pairs))
            exact = to != "gguf" or same == len(pairs)
            row_of("llama.cpp", release, f"{name} ({to})", difference < bound and exact,
                   f"ids equal; log-probabilities of tokens above 1e-4 differ by at most {difference:.1e}; {same} of {len(pairs)} greedy tokens equal"
                   + (f"; told: {told[-1]}" if told else ""))


def tensorboard():
    """TensorBoard's reader returns every value of every curve, the settings, the results and the samples."""
    import numpy
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import plugin_data_pb2

    runs()
    live = WORK / "specs" / "interop-live.yaml"
    live.write_text(SPEC.replace("name: interop", "name: interop-live").replace("cells:", "seeds: [1]\ncells:"))
    for way, spec, arguments in [("export", "interop", ["export", "specs/interop.yaml", "tb", "--to", "tensorboard"]),
                                 ("run --tensorboard", "interop-live", ["run", live, "--no-report", "-q", "--tensorboard", "tb-live"])]:
        specbook(*arguments)
        folder = WORK / ("tb" if way == "export" else "tb-live")
        listed = [run for run in result("ls")["runs"] if run["status"] == "cached" and run["spec"] == spec]
        values, worst, hparams = 0, 0.0, 0
        for run in listed:
            events = EventAccumulator(str(folder / spec / run["name"]), size_guidance={"scalars": 0, "tensors": 0})
            events.Reload()
            shard = WORK / ".specbook" / "runs-v1" / run["id"][:2]
            metrics = next(shard.glob(run["id"] + "*")) / "metrics.jsonl"
            points = [json.loads(line) for line in metrics.read_text().splitlines()]
            scalars = {tag: {event.step: event.value for event in events.Scalars(tag)} for tag in events.Tags()["scalars"]}
            for point in points:
                for tag, value in point.items():
                    if tag != "step":
                        values += 1
                        worst = max(worst, abs(scalars[tag][point["step"]] - float(numpy.float32(value))))
            for name, value in run["metrics"].items():
                values += 1
                worst = max(worst, abs(scalars["final/" + name][points[-1]["step"]] - float(numpy.float32(value))))
            content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
            start = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
            hparams += start.hparams["model.dim"].number_value == run["key"]["model"]["dim"]
        row("tensorboard", f"{len(listed)} runs ({way})", worst == 0.0 and hparams == len(listed) and values > 0,
            f"{values} values differ by at most {worst:.1e}; settings of {hparams} runs")


def tables():
    """pandas reads the tables."""
    import pandas

    runs()
    specbook("export", "specs/interop.yaml", "csv", "--to", "csv")
    listed = {run["id"]: run for run in result("ls")["runs"] if run["status"] == "cached"}
    frame = pandas.read_csv(WORK / "csv" / "runs.csv")
    same = all(abs(listed[row["id"]]["metrics"]["val_loss"] - row["val_loss"]) == 0 and listed[row["id"]]["key"]["model"]["dim"] == row["model.dim"]
               for _, row in frame.iterrows())
    steps = pandas.read_csv(WORK / "csv" / "steps.csv")
    row("pandas", f"{len(frame)} runs, {len(steps)} steps (csv)", same and len(frame) == 5 and len(steps) == 125, "values equal")

    specbook("export", "specs/interop.yaml", "frames", "--to", "parquet")
    typed = pandas.read_parquet(WORK / "frames" / "runs.parquet", engine="pyarrow")
    typed_steps = pandas.read_parquet(WORK / "frames" / "steps.parquet", engine="pyarrow")
    pandas.testing.assert_frame_equal(typed, frame, check_dtype=False, check_exact=True)
    pandas.testing.assert_frame_equal(typed_steps, steps, check_dtype=False, check_exact=True)
    kinds = typed["model.dim"].dtype == "int64" and typed["val_loss"].dtype == "float64" and typed_steps["step"].dtype == "int64"
    row("pyarrow", f"{len(typed)} runs, {len(typed_steps)} steps (parquet)", kinds, "equal to the csv tables in every cell, with types")


def parquet():
    """Our reader returns the texts of files written by pyarrow in every supported encoding."""
    import itertools, random
    import pyarrow as pa
    import pyarrow.parquet as pq

    random.seed(1)
    words = ["one", "é", "two\n", "😀", "", " ", "three four"]
    texts = [None if n % 11 == 5 else " ".join(random.choices(words, k=random.randint(0, 200))) for n in range(1500)]
    texts[100] = "long " * 300_000
    expected = [text or "" for text in texts]
    table = pa.table({"n": range(len(texts)), "text": texts, "meta": [{"body": text} for text in texts]})
    (WORK / "specs").mkdir(parents=True, exist_ok=True)
    (WORK / ".git").mkdir(exist_ok=True)

    def plan(corpus):
        spec = SPEC.replace("{stories: {version: 1}}", json.dumps(corpus)).replace("name: interop", "name: texts")
        (WORK / "specs" / "texts.yaml").write_text(spec.replace("train: 200\n    validation: 20", "split: 0.5"))
        return sorted(run["id"] for run in result("plan", "specs/texts.yaml")[0]["runs"])

    # A run's identity contains the digest of its texts: the same texts as JSON lines give the same
    # runs.
    (WORK / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in expected))
    wanted, files = plan({"jsonl": {"path": str(WORK / "texts.jsonl")}}), 0
    for codec, version, way, groups in itertools.product(["none", "snappy", "gzip", "zstd"], ["1.0", "2.0"],
            ["PLAIN", "dictionary", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"], [len(texts), 700]):
        encoding = {} if way == "dictionary" else {"use_dictionary": False, "column_encoding": {"text": way, "meta.body": way}}
        files += 1
        pq.write_table(table, WORK / "texts.parquet", compression=codec, data_page_version=version, row_group_size=groups,
                       write_page_checksum=files % 2 == 0, **encoding)
        for field in ["text", "meta.body"]:
            if plan({"parquet": {"path": str(WORK / "texts.parquet"), "field": field}}) != wanted:
                return row("pyarrow", f"{codec}, pages {version}, {way}, {field} (read here)", False, "other texts")
    row("pyarrow", f"{files} files of {len(texts)} rows, two columns each (read here)", files == 64 and len(wanted) == 5, "every text equal, by digest")


def mlflow():
    """A real MLflow server accepts the runs, once, and returns their values."""
    import mlflow as package
    import socket, time

    runs()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uri, database = f"http://127.0.0.1:{port}", WORK / "mlflow.db"
    server = subprocess.Popen([sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
                               "--backend-store-uri", f"sqlite:///{database}", "--artifacts-destination", str(WORK / "artifacts")],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=WORK, start_new_session=True)
    try:
        import urllib.request
        for _ in range(240):
            try:
                urllib.request.urlopen(uri + "/health", timeout=2)
                break
            except OSError:
                time.sleep(0.5)
        export = ["export", "specs/interop.yaml", uri, "--to", "mlflow", "--format", "json"]
        first, second = json.loads(specbook(*export)), json.loads(specbook(*export))
        client = package.MlflowClient(tracking_uri=uri)
        experiment = client.get_experiment_by_name("interop")
        stored = client.search_runs([experiment.experiment_id])
        listed = {run["id"]: run for run in result("ls")["runs"] if run["status"] == "cached"}
        worst, values = 0.0, 0
        for run in stored:
            ours = listed[run.data.tags["specbook.run_id"]]
            shard = WORK / ".specbook" / "runs-v1" / ours["id"][:2]
            points = [json.loads(line) for line in (next(shard.glob(ours["id"] + "*")) / "metrics.jsonl").read_text().splitlines()]
            for tag in ("train/loss", "val/loss", "grad_norm"):
                theirs = {metric.step: metric.value for metric in client.get_metric_history(run.info.run_id, tag)}
                for point in points:
                    if tag in point:
                        values += 1
                        worst = max(worst, abs(theirs[point["step"]] - point[tag]))
            for name, value in ours["metrics"].items():
                values += 1
                worst = max(worst, abs(run.data.metrics["final/" + name] - value))
        ok = (first["sent"], second["sent"], second["there"], len(stored)) == (5, 0, 5, 5) and worst == 0 and values > 0
        row("mlflow", f"{len(stored)} runs, twice", ok, f"sent {first['sent']}, then {second['sent']}; {values} values differ by at most {worst:.1e}")
    finally:
        os.killpg(server.pid, 15)
        server.wait()


def bundle():
    """The RO-Crate validator accepts a bundle, and the citation file validator the repository's."""
    tools = pathlib.Path(sys.executable).parent
    runs()
    specbook("run", "specs/interop.yaml", "-q")
    specbook("bundle", "specs/interop.yaml", "-o", "interop.zip", "--license", "https://creativecommons.org/licenses/by/4.0/")
    specbook("verify", "interop.zip")
    # Two checks that only load the context from the network are skipped; the context comes from the
    # package `rocrate`.
    left_out = "ro-crate-1.1_3.1,ro-crate-1.1_3.2"
    for profile in ("ro-crate-1.1", "process-run-crate-0.5"):
        done = subprocess.run([sys.executable, pathlib.Path(__file__).with_name("rocrate_offline.py"), "-y", "--disable-color", "validate", "-np", "-p",
                               profile, "-l", "required", "--no-paging", "--skip-availability-check", "-s", left_out, WORK / "interop.zip"],
                              capture_output=True, text=True)
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        row("roc-validator", f"a bundle of 5 runs ({profile})", done.returncode == 0,
            f"valid; left out: {left_out} (network)" if done.returncode == 0 else " / ".join(lines[-12:]))
    citation = pathlib.Path(__file__).parent.parent / "CITATION.cff"
    done = subprocess.run([tools / "cffconvert", "--validate", "-i", citation], capture_output=True, text=True)
    row("cffconvert", "CITATION.cff", done.returncode == 0, (done.stdout + done.stderr).strip())


CHECKS = {"hf": hf, "hf_import": hf_import, "gguf": gguf, "llamacpp": llamacpp,
          "tensorboard": tensorboard, "tables": tables, "parquet": parquet, "mlflow": mlflow, "bundle": bundle}

if __name__ == "__main__":
    for check in sys.argv[1:]:
        try:
            CHECKS[check]()
        except ImportError as error:
            skip(check, error)
        except Exception as error:  # The table continues; the exit code reports failures.
            FAILED.append(check)
            print(f"| {check} | – | – | FAILED: {str(error).strip()} |", flush=True)
    sys.exit(1 if FAILED else 0)
