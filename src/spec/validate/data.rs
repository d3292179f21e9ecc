//! Rules of the section `data`.

use crate::choices::Findings;
use crate::spec::{
    Corpus, DataSettings, Embedded, Folder, Jsonl, MAX_BPE_VOCAB, MAX_DOCUMENTS, MAX_STORIES,
    MIN_BPE_VOCAB, Paths, Sequence, Slice, TextFile, Tokenizer,
};

/// Most characters of a piece of text: a document has at most 64 MiB.
const MAX_PIECE: usize = 16 << 20;

pub(super) fn data_counts(data: &DataSettings, findings: &mut Findings) {
    const MOST: usize = 1 << 40;
    split_is_possible(data, findings);
    for (path, slice, least) in slices(data) {
        if data.split.is_none() || slice.take > 0 {
            findings.count(path, slice.take, least..=MOST);
        }
        if slice.skip.is_some_and(|skip| skip > MOST) {
            findings.say(path, format!("`{path}.skip` may be at most {MOST}"));
        }
    }
    if !(1..=2).contains(&data.target_shift) {
        let message = format!("`data.target_shift` is {}", data.target_shift);
        findings
            .say("data.target_shift", message)
            .allowed("1 (the next token) or 2 (the one after it)");
    }
    match data.sequence {
        Sequence::InformedAsRun(tolerance) => {
            findings.count("data.sequence.informed_as_run.tol", tolerance.tol, 1..=MOST);
        }
        Sequence::InformedAsDescribed(tolerance) => {
            findings.count(
                "data.sequence.informed_as_described.tol",
                tolerance.tol,
                1..=MOST,
            );
        }
        _ => {}
    }
    for (path, slice, _) in slices(data) {
        let corpus = slice.corpus.as_ref().unwrap_or(&data.corpus);
        generated_is_bounded(path, slice.take, corpus, findings);
    }
    corpus_is_whole("data.corpus", &data.corpus, findings);
    for (path, slice, _) in slices(data) {
        if let Some(corpus) = &slice.corpus {
            corpus_is_whole(&format!("{path}.corpus"), corpus, findings);
        }
    }
}

/// A tokenizer has room for the bytes, and learns from text where it learns.
pub(super) fn tokenizer_fits_corpus(data: &DataSettings, findings: &mut Findings) {
    const MOST: usize = 1 << 40;
    match &data.tokenizer {
        Tokenizer::TrainBpe(bpe) => {
            let path = "data.tokenizer.train_bpe.vocab_size";
            findings.count(path, bpe.vocab_size, MIN_BPE_VOCAB..=MAX_BPE_VOCAB);
            if let Some(documents) = bpe.documents {
                findings.count("data.tokenizer.train_bpe.documents", documents, 1..=MOST);
                let corpus = data.train.corpus.as_ref().unwrap_or(&data.corpus);
                let path = "data.tokenizer.train_bpe.documents";
                generated_is_bounded(path, documents, corpus, findings);
            }
        }
        Tokenizer::File(_)
        | Tokenizer::Sentencepiece(_)
        | Tokenizer::Gpt2(_)
        | Tokenizer::Tiktoken(_)
        | Tokenizer::Llama2c(_)
        | Tokenizer::Bytes => {}
    }
    if data
        .tokenizer
        .path()
        .is_some_and(|path| path.as_os_str().is_empty())
    {
        let path = match data.tokenizer {
            Tokenizer::File(_) => "data.tokenizer.file",
            _ => "data.tokenizer",
        };
        findings.say(path, format!("`{path}` is empty"));
    }
    if let (Tokenizer::TrainBpe(_), Corpus::Bin(_)) = (&data.tokenizer, &data.corpus) {
        let message = "`bin` holds token ids, not text that a tokenizer could learn from";
        let hint = "name the tokenizer that made them: `data.tokenizer: {file: …}`";
        findings.say("data.tokenizer", message).hint(hint);
    }
}

/// `split` takes the place of the slices.
fn split_is_possible(data: &DataSettings, findings: &mut Findings) {
    let Some(split) = data.split else { return };
    let path = "data.split";
    if !(split > 0.0 && split < 1.0) {
        let allowed = "a share between 0 and 1, such as 0.9";
        findings
            .say(path, format!("`data.split` is {split}"))
            .allowed(allowed);
    }
    for (other, slice, _) in slices(data) {
        if *slice != Slice::default() {
            let message = format!("`data.split` and `{other}` are both given");
            findings.say(path, message).hint("leave one of them out");
        }
    }
    if data.corpus.path().is_none() {
        let message = "`data.split` needs a corpus of files: an embedded one has no last document";
        let hint = "give `data.train` and `data.validation` as numbers";
        findings.say(path, message).hint(hint);
    }
}

fn slices(data: &DataSettings) -> [(&'static str, &Slice, usize); 3] {
    [
        ("data.train", &data.train, 1),
        ("data.validation", &data.validation, 1),
        ("data.test", &data.test, 0),
    ]
}

/// What is generated has no file's end: without a bound it would fill the memory.
fn generated_is_bounded(path: &str, take: usize, corpus: &Corpus, findings: &mut Findings) {
    let (name, most) = match corpus {
        Corpus::Stories(_) => ("stories", MAX_STORIES),
        Corpus::Documents(_) => ("documents", MAX_DOCUMENTS),
        Corpus::Text(_)
        | Corpus::Folder(_)
        | Corpus::Jsonl(_)
        | Corpus::Json(_)
        | Corpus::Bin(_) => return,
    };
    if take > most {
        let message = format!("`{path}` takes {take} documents of the embedded corpus `{name}`");
        findings
            .say(path, message)
            .allowed(format!("at most {most}, about 4 GiB of text"))
            .hint("take fewer, or name a corpus of your own with `data.corpus`");
    }
}

fn corpus_is_whole(path: &str, corpus: &Corpus, findings: &mut Findings) {
    let (kind, files) = match corpus {
        Corpus::Stories(embedded) => return version_exists(path, "stories", embedded, 1, findings),
        Corpus::Documents(embedded) => {
            return version_exists(path, "documents", embedded, 2, findings);
        }
        Corpus::Text(text) => {
            text_is_cut(path, text, findings);
            ("text", &text.path)
        }
        Corpus::Folder(folder) => return folder_is_whole(path, folder, findings),
        Corpus::Jsonl(jsonl) => ("jsonl", field_is_named(path, "jsonl", jsonl, findings)),
        Corpus::Json(json) => ("json", field_is_named(path, "json", json, findings)),
        Corpus::Bin(bin) => ("bin", &bin.path),
    };
    if files.0.is_empty() || files.iter().any(|file| file.as_os_str().is_empty()) {
        empty_path(path, kind, findings);
    }
}

fn empty_path(path: &str, kind: &str, findings: &mut Findings) {
    let message = format!("the path of `{kind}` is empty");
    findings.say(format!("{path}.{kind}.path"), message);
}

fn version_exists(
    path: &str,
    name: &str,
    embedded: &Embedded,
    newest: u32,
    findings: &mut Findings,
) {
    if !(1..=newest).contains(&embedded.version) {
        let versions: Vec<String> = (1..=newest).map(|version| version.to_string()).collect();
        let message = format!("the corpus `{name}` has no version {}", embedded.version);
        findings
            .say(format!("{path}.{name}.version"), message)
            .allowed(versions.join(" or "));
    }
}

fn text_is_cut(path: &str, text: &TextFile, findings: &mut Findings) {
    let separator = &text.separator;
    let of_separator = format!("{path}.text.separator");
    let line_ends = separator.chars().all(|c| matches!(c, '\n' | '\r'));
    if separator.is_empty() {
        findings.say(of_separator, "an empty separator cannot end a document");
    } else if separator.trim().is_empty() && !line_ends {
        let message = format!(
            "the separator `{}` is white space",
            separator.escape_debug()
        );
        let hint = "a separator is a line of its own; `\"\\n\"` cuts at every line, `\"\\n\\n\"` at empty lines";
        findings.say(of_separator, message).hint(hint);
    } else if separator.trim().contains('\n') {
        let message = format!(
            "the separator `{}` is more than one line",
            separator.escape_debug()
        );
        let hint = "a separator is one line; choose one of them";
        findings.say(of_separator, message).hint(hint);
    }
    if let Some(pieces) = text.pieces {
        findings.count(&format!("{path}.text.pieces"), pieces, 1..=MAX_PIECE);
    }
}

fn folder_is_whole(path: &str, folder: &Folder, findings: &mut Findings) {
    let extension = folder.extension.as_ref();
    if extension.is_some_and(|extension| extension.starts_with('.')) {
        let message = "an extension is written without its dot";
        findings.say(format!("{path}.folder.extension"), message);
    }
    if folder.path.as_os_str().is_empty() {
        empty_path(path, "folder", findings);
    }
}

fn field_is_named<'a>(
    path: &str,
    kind: &str,
    jsonl: &'a Jsonl,
    findings: &mut Findings,
) -> &'a Paths {
    if jsonl.field.is_empty() {
        let message = "an empty field name holds no text";
        findings.say(format!("{path}.{kind}.field"), message);
    }
    &jsonl.path
}

/// Explicit ranges of one corpus must not share a document: what is trained on is not held out.
pub(super) fn slices_do_not_overlap(data: &DataSettings, findings: &mut Findings) {
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
                findings.say(*path, message);
            }
        }
    }
}
