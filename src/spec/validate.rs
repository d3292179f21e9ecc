//! What types cannot say: ranges and rules between settings, each a named function. Nothing here changes a value.

use super::error::Problem;
use super::{
    Arch, ClassWeight, Corpus, DataSettings, EvalSettings, Loss, ModelSettings, Optimizer,
    Schedule, SeqLen, Sequence, Slice, Split, Tokenizer, TrainSettings,
};

/// The sections of a run that could be decoded.
pub(crate) struct Sections<'a> {
    pub(crate) data: Option<&'a DataSettings>,
    pub(crate) model: Option<&'a ModelSettings>,
    pub(crate) train: Option<&'a TrainSettings>,
    pub(crate) eval: Option<&'a EvalSettings>,
}

/// A problem and the setting it points at.
pub(crate) struct Finding {
    pub(crate) path: String,
    pub(crate) problem: Problem,
}

type Findings = Vec<Finding>;

/// Checks one run's settings.
pub(crate) fn check(sections: &Sections<'_>) -> Findings {
    let mut findings = Vec::new();
    if let Some(model) = sections.model {
        model_sizes(model, &mut findings);
        heads_divide_dim(model, &mut findings);
        arch_has_its_settings(model, &mut findings);
    }
    if let Some(train) = sections.train {
        train_counts(train, &mut findings);
        optimizer_in_range(train, &mut findings);
        schedule_fits(train, &mut findings);
        loss_in_range(train, &mut findings);
    }
    if let Some(data) = sections.data {
        data_counts(data, &mut findings);
        slices_do_not_overlap(data, &mut findings);
    }
    if let Some(eval) = sections.eval {
        eval_in_range(eval, &mut findings);
    }
    if let (Some(data), Some(model)) = (sections.data, sections.model) {
        sequence_fits_model(data, model, &mut findings);
    }
    if let (Some(data), Some(train)) = (sections.data, sections.train) {
        length_fits_sequence(data, train, &mut findings);
    }
    if let (Some(data), Some(eval)) = (sections.data, sections.eval) {
        eval_fits_slices(data, eval, &mut findings);
    }
    findings
}

fn add(findings: &mut Findings, path: &str, problem: Problem) {
    findings.push(Finding {
        path: path.to_owned(),
        problem,
    });
}

fn say(findings: &mut Findings, path: &str, message: impl Into<String>) {
    add(findings, path, Problem::new(message));
}

/// A whole number of at least `least`.
fn at_least(findings: &mut Findings, path: &str, value: usize, least: usize) {
    if value < least {
        say(
            findings,
            path,
            format!("`{path}` is {value}; it has to be at least {least}"),
        );
    }
}

/// A whole number within bounds.
fn between(findings: &mut Findings, path: &str, value: usize, least: usize, most: usize) {
    at_least(findings, path, value, least);
    if value > most {
        say(
            findings,
            path,
            format!("`{path}` is {value}; it may be at most {most}"),
        );
    }
}

/// A number that has to satisfy `holds`, described by `range`.
fn in_range(findings: &mut Findings, path: &str, value: f64, holds: bool, range: &str) {
    if !holds || !value.is_finite() {
        say(
            findings,
            path,
            format!("`{path}` is {value}; it has to be {range}"),
        );
    }
}

fn model_sizes(model: &ModelSettings, findings: &mut Findings) {
    const MOST: usize = 1 << 20;
    between(findings, "model.dim", model.dim, 1, MOST);
    between(findings, "model.n_layers", model.n_layers, 1, 10_000);
    between(findings, "model.n_heads", model.n_heads, 1, MOST);
    between(findings, "model.max_seq_len", model.max_seq_len, 2, MOST);
    between(
        findings,
        "model.pad_vocab_to_multiple",
        model.pad_vocab_to_multiple,
        1,
        MOST,
    );
    for (path, value) in [
        ("model.n_kv_heads", model.n_kv_heads),
        ("model.hidden_dim", model.hidden_dim),
        ("model.multiple_of", model.multiple_of),
    ] {
        if let Some(value) = value {
            between(findings, path, value, 1, 1 << 24);
        }
    }
    let eps = model.norm_eps;
    in_range(
        findings,
        "model.norm_eps",
        eps,
        eps > 0.0 && eps < 1.0,
        "above 0 and below 1",
    );
    let theta = model.rope_theta;
    in_range(findings, "model.rope_theta", theta, theta > 0.0, "above 0");
    let dropout = model.dropout;
    let holds = (0.0..1.0).contains(&dropout);
    in_range(
        findings,
        "model.dropout",
        dropout,
        holds,
        "at least 0 and below 1",
    );
}

fn heads_divide_dim(model: &ModelSettings, findings: &mut Findings) {
    if model.n_heads == 0 || model.dim == 0 {
        return;
    }
    let (dim, heads) = (model.dim, model.n_heads);
    if !dim.is_multiple_of(heads) {
        let fitting: Vec<String> = (1..=dim.min(256))
            .filter(|heads| dim.is_multiple_of(*heads))
            .filter(|heads| model.arch == Arch::Gpt2 || (dim / heads).is_multiple_of(2))
            .map(|heads| heads.to_string())
            .collect();
        let message = format!("`model.dim` {dim} is not a multiple of `model.n_heads` {heads}");
        let problem = Problem::new(message);
        let allowed = format!("for {dim}: {} heads", fitting.join(", "));
        add(
            findings,
            "model.n_heads",
            if fitting.is_empty() {
                problem
            } else {
                problem.allowed(allowed)
            },
        );
    } else if model.arch == Arch::Llama && !(dim / heads).is_multiple_of(2) {
        let head = dim / heads;
        let message =
            format!("a head is {head} wide ({dim} / {heads}); rotary positions need an even width");
        say(findings, "model.n_heads", message);
    }
    if let Some(kv) = model.n_kv_heads
        && kv > 0
        && !heads.is_multiple_of(kv)
    {
        let message = format!("`model.n_kv_heads` {kv} does not divide `model.n_heads` {heads}");
        say(findings, "model.n_kv_heads", message);
    }
}

fn arch_has_its_settings(model: &ModelSettings, findings: &mut Findings) {
    let refuse = |findings: &mut Findings, path: &str, arch: &str, other: &str| {
        let problem = Problem::new(format!(
            "`{path}` has no meaning for the `{arch}` architecture"
        ));
        add(
            findings,
            path,
            problem.hint(format!("remove it, or set `model.arch: {other}`")),
        );
    };
    match model.arch {
        Arch::Llama => {
            if model.dropout != 0.0 {
                refuse(findings, "model.dropout", "llama", "gpt2");
            }
            if model.biases {
                refuse(findings, "model.biases", "llama", "gpt2");
            }
        }
        Arch::Gpt2 => {
            if model.n_kv_heads.is_some_and(|kv| kv != model.n_heads) {
                refuse(findings, "model.n_kv_heads", "gpt2", "llama");
            }
            if model.multiple_of.is_some() {
                refuse(findings, "model.multiple_of", "gpt2", "llama");
            }
            if model.rope_theta != 10_000.0 {
                refuse(findings, "model.rope_theta", "gpt2", "llama");
            }
        }
    }
    if model.hidden_dim.is_some() && model.multiple_of.is_some() {
        let message = "`model.hidden_dim` is given, so `model.multiple_of` has nothing to round";
        add(
            findings,
            "model.multiple_of",
            Problem::new(message).hint("keep one of the two"),
        );
    }
}

fn train_counts(train: &TrainSettings, findings: &mut Findings) {
    const MOST: usize = 1 << 40;
    between(findings, "train.batch_size", train.batch_size, 1, 1 << 24);
    between(
        findings,
        "train.grad_accum_steps",
        train.grad_accum_steps,
        1,
        1 << 24,
    );
    for (path, value) in [
        ("train.epochs", train.epochs),
        ("train.max_steps", train.max_steps),
        ("train.max_batches", train.max_batches),
    ] {
        if let Some(value) = value {
            between(findings, path, value, 1, MOST);
        }
    }
    if train.epochs.is_some() && train.max_steps.is_some() {
        let message = "`train.epochs` and `train.max_steps` both say how long to train";
        let hint = "keep one; an override removes the other with `train.epochs: null`";
        add(
            findings,
            "train.max_steps",
            Problem::new(message).hint(hint),
        );
    }
    if let super::Every::Steps(steps) = train.validate.every {
        at_least(findings, "train.validate.every.steps", steps, 1);
    }
    if let Some(clip) = train.grad_clip {
        let problem = Problem::new(format!("`train.grad_clip` is {clip}; it has to be above 0"));
        if clip <= 0.0 || !clip.is_finite() {
            add(
                findings,
                "train.grad_clip",
                problem.hint("leave it out for no clipping"),
            );
        }
    }
}

fn optimizer_in_range(train: &TrainSettings, findings: &mut Findings) {
    let Optimizer::Adamw(adamw) = &train.optimizer;
    let path = |name: &str| format!("train.optimizer.adamw.{name}");
    let rate = adamw.learning_rate;
    in_range(
        findings,
        &path("learning_rate"),
        rate,
        rate > 0.0,
        "above 0",
    );
    for (index, beta) in adamw.betas.into_iter().enumerate() {
        let holds = (0.0..1.0).contains(&beta);
        in_range(
            findings,
            &path(&format!("betas.{index}")),
            beta,
            holds,
            "at least 0 and below 1",
        );
    }
    in_range(
        findings,
        &path("eps"),
        adamw.eps,
        adamw.eps > 0.0,
        "above 0",
    );
    let decay = adamw.weight_decay;
    in_range(
        findings,
        &path("weight_decay"),
        decay,
        decay >= 0.0,
        "at least 0",
    );
}

fn schedule_fits(train: &TrainSettings, findings: &mut Findings) {
    let Schedule::Cosine(cosine) = &train.schedule else {
        return;
    };
    let Optimizer::Adamw(adamw) = &train.optimizer;
    let (warmup, decay) = (cosine.warmup_steps, cosine.decay_steps);
    if warmup >= decay {
        let message =
            format!("the warm-up of {warmup} steps does not end before `decay_steps` {decay}");
        say(findings, "train.schedule.cosine.warmup_steps", message);
    }
    let (low, peak) = (cosine.min_lr, adamw.learning_rate);
    let path = "train.schedule.cosine.min_lr";
    in_range(findings, path, low, low >= 0.0, "at least 0");
    if low > peak {
        say(
            findings,
            path,
            format!("`min_lr` {low} is above the peak `learning_rate` {peak}"),
        );
    }
}

fn loss_in_range(train: &TrainSettings, findings: &mut Findings) {
    let weight = |w: &ClassWeight| match w {
        ClassWeight::Absolute(w) | ClassWeight::Per50304(w) => *w,
    };
    match &train.loss {
        Loss::CrossEntropy | Loss::Squentropy => {}
        Loss::Square(square) => {
            in_range(
                findings,
                "train.loss.square.k",
                square.k,
                square.k > 0.0,
                "above 0",
            );
            in_range(
                findings,
                "train.loss.square.m",
                square.m,
                square.m > 0.0,
                "above 0",
            );
        }
        Loss::SquareSoftmax(weighted) => {
            let w = weight(&weighted.w);
            in_range(
                findings,
                "train.loss.square_softmax.w",
                w,
                w > 0.0,
                "above 0",
            );
        }
        Loss::SquentropyCapstone(weighted) => {
            let w = weight(&weighted.w);
            in_range(
                findings,
                "train.loss.squentropy_capstone.w",
                w,
                w > 0.0,
                "above 0",
            );
        }
    }
    if train.loss == Loss::CrossEntropy && train.reduction != super::Reduction::default() {
        let message = "`train.reduction` has no meaning for `cross_entropy`: it has no square term";
        say(findings, "train.reduction", message);
    }
}

fn data_counts(data: &DataSettings, findings: &mut Findings) {
    const MOST: usize = 1 << 40;
    for (path, slice, least) in slices(data) {
        between(findings, path, slice.take, least, MOST);
        if slice.skip.is_some_and(|skip| skip > MOST) {
            say(
                findings,
                path,
                format!("`{path}.skip` may be at most {MOST}"),
            );
        }
    }
    if !(1..=2).contains(&data.target_shift) {
        let message = format!("`data.target_shift` is {}", data.target_shift);
        let problem = Problem::new(message).allowed("1 (the next token) or 2 (the one after it)");
        add(findings, "data.target_shift", problem);
    }
    match data.sequence {
        Sequence::InformedAsRun(tolerance) => {
            at_least(
                findings,
                "data.sequence.informed_as_run.tol",
                tolerance.tol,
                1,
            );
        }
        Sequence::InformedAsDescribed(tolerance) => {
            at_least(
                findings,
                "data.sequence.informed_as_described.tol",
                tolerance.tol,
                1,
            );
        }
        _ => {}
    }
    match &data.tokenizer {
        Tokenizer::TrainBpe(bpe) => {
            let path = "data.tokenizer.train_bpe.vocab_size";
            between(findings, path, bpe.vocab_size, 258, 1 << 24);
            if let Some(documents) = bpe.documents {
                between(
                    findings,
                    "data.tokenizer.train_bpe.documents",
                    documents,
                    1,
                    MOST,
                );
            }
        }
        Tokenizer::File(file) if file.as_os_str().is_empty() => {
            say(
                findings,
                "data.tokenizer.file",
                "`data.tokenizer.file` is empty",
            );
        }
        Tokenizer::File(_) => {}
    }
    corpus_is_whole("data.corpus", &data.corpus, findings);
    for (path, slice, _) in slices(data) {
        if let Some(corpus) = &slice.corpus {
            corpus_is_whole(&format!("{path}.corpus"), corpus, findings);
        }
    }
}

fn slices(data: &DataSettings) -> [(&'static str, &Slice, usize); 3] {
    [
        ("data.train", &data.train, 1),
        ("data.validation", &data.validation, 1),
        ("data.test", &data.test, 0),
    ]
}

fn corpus_is_whole(path: &str, corpus: &Corpus, findings: &mut Findings) {
    let (kind, file) = match corpus {
        Corpus::Stories(embedded) | Corpus::Documents(embedded) => {
            let name = if matches!(corpus, Corpus::Stories(_)) {
                "stories"
            } else {
                "documents"
            };
            if embedded.version != 1 {
                let version = embedded.version;
                let message = format!("the corpus `{name}` has no version {version}");
                add(
                    findings,
                    &format!("{path}.{name}.version"),
                    Problem::new(message).allowed("1"),
                );
            }
            return;
        }
        Corpus::Text(text) => {
            if text.separator.is_empty() {
                let message = "an empty separator cannot end a document";
                say(findings, &format!("{path}.text.separator"), message);
            }
            ("text", &text.path)
        }
        Corpus::Folder(folder) => {
            if folder
                .extension
                .as_ref()
                .is_some_and(|extension| extension.starts_with('.'))
            {
                let message = "an extension is written without its dot";
                say(findings, &format!("{path}.folder.extension"), message);
            }
            ("folder", &folder.path)
        }
        Corpus::Jsonl(jsonl) => {
            if jsonl.field.is_empty() {
                say(
                    findings,
                    &format!("{path}.jsonl.field"),
                    "an empty field name holds no text",
                );
            }
            ("jsonl", &jsonl.path)
        }
        Corpus::Bin(bin) => ("bin", &bin.path),
    };
    if file.as_os_str().is_empty() {
        say(
            findings,
            &format!("{path}.{kind}.path"),
            format!("the path of `{kind}` is empty"),
        );
    }
}

/// Explicit ranges of one corpus must not share a document: what is trained on is not held out.
fn slices_do_not_overlap(data: &DataSettings, findings: &mut Findings) {
    let all = slices(data);
    for (index, (path, slice, _)) in all.iter().enumerate() {
        for (other_path, other, _) in &all[..index] {
            let corpus =
                |slice: &Slice| slice.corpus.clone().unwrap_or_else(|| data.corpus.clone());
            let (Some(start), Some(other_start)) = (slice.skip, other.skip) else {
                continue;
            };
            let end = start.saturating_add(slice.take);
            let other_end = other_start.saturating_add(other.take);
            if start.max(other_start) < end.min(other_end) && corpus(slice) == corpus(other) {
                let message = format!(
                    "`{path}` (documents {start} to {}) and `{other_path}` ({other_start} to {}) overlap",
                    end - 1,
                    other_end - 1
                );
                say(findings, path, message);
            }
        }
    }
}

fn eval_in_range(eval: &EvalSettings, findings: &mut Findings) {
    if let Some(perplexity) = &eval.perplexity {
        at_least(
            findings,
            "eval.perplexity.documents",
            perplexity.documents,
            1,
        );
    }
    if let Some(samples) = &eval.samples {
        if samples.prompts.is_empty() {
            let problem = Problem::new("`eval.samples.prompts` is empty: nothing would be sampled");
            let problem = problem.hint("write a prompt, or leave `eval.samples` out");
            add(findings, "eval.samples.prompts", problem);
        }
        for (index, prompt) in samples.prompts.iter().enumerate() {
            if prompt.is_empty() {
                let path = format!("eval.samples.prompts.{index}");
                say(
                    findings,
                    &path,
                    "an empty prompt leaves nothing to continue",
                );
            }
        }
        between(
            findings,
            "eval.samples.max_new_tokens",
            samples.max_new_tokens,
            1,
            1 << 20,
        );
        between(
            findings,
            "eval.samples.per_prompt",
            samples.per_prompt,
            1,
            10_000,
        );
        let temperature = samples.temperature;
        in_range(
            findings,
            "eval.samples.temperature",
            temperature,
            temperature >= 0.0,
            "at least 0",
        );
        if let Some(k) = samples.top_k {
            at_least(findings, "eval.samples.top_k", k, 1);
        }
        if let Some(p) = samples.top_p {
            in_range(
                findings,
                "eval.samples.top_p",
                p,
                p > 0.0 && p <= 1.0,
                "above 0 and at most 1",
            );
        }
    }
    if let Some(windows) = &eval.random_windows {
        at_least(findings, "eval.random_windows.batches", windows.batches, 1);
        at_least(findings, "eval.random_windows.windows", windows.windows, 1);
        at_least(findings, "eval.random_windows.tokens", windows.tokens, 1);
    }
}

/// An input holds BOS and the content, so a sequence has at most `max_seq_len` positions.
fn sequence_fits_model(data: &DataSettings, model: &ModelSettings, findings: &mut Findings) {
    let SeqLen::Tokens(tokens) = data.seq_len else {
        return;
    };
    at_least(findings, "data.seq_len", tokens, 2);
    if tokens > model.max_seq_len {
        let most = model.max_seq_len;
        let message = format!("`data.seq_len` {tokens} is longer than `model.max_seq_len` {most}");
        let hint = "a sequence, BOS counted, has at most `model.max_seq_len` tokens";
        add(findings, "data.seq_len", Problem::new(message).hint(hint));
    }
}

fn length_fits_sequence(data: &DataSettings, train: &TrainSettings, findings: &mut Findings) {
    if data.sequence != Sequence::Stream {
        return;
    }
    if train.max_steps.is_none() {
        let message =
            "`data.sequence: stream` draws windows without end, so it needs `train.max_steps`";
        add(
            findings,
            "train.epochs",
            Problem::new(message).hint("write `train.max_steps: …`"),
        );
    }
    if train.max_batches.is_some() {
        let message = "`train.max_batches` cuts epochs, and `data.sequence: stream` has none";
        say(findings, "train.max_batches", message);
    }
    if train.validate.every == super::Every::Epoch {
        let message = "`data.sequence: stream` has no epochs to validate after";
        let problem = Problem::new(message).allowed("`step`, `{steps: n}`, `end`");
        add(findings, "train.validate.every", problem);
    }
}

fn eval_fits_slices(data: &DataSettings, eval: &EvalSettings, findings: &mut Findings) {
    let Some(perplexity) = &eval.perplexity else {
        return;
    };
    let (name, slice) = match perplexity.split {
        Split::Validation => ("data.validation", &data.validation),
        Split::Test => ("data.test", &data.test),
    };
    if perplexity.documents > slice.take {
        let message = format!(
            "`eval.perplexity` scores {} documents, but `{name}` has {}",
            perplexity.documents, slice.take
        );
        say(findings, "eval.perplexity.documents", message);
    }
}
