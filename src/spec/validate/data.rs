//! Rules of the section `data`.

use crate::choices::Findings;
use crate::spec::{Corpus, DataSettings, Slice};
use crate::text::source::Origin;

pub(super) fn data_counts(data: &DataSettings, findings: &mut Findings) {
    const MOST: usize = 1 << 40;
    split_is_possible(data, findings);
    for (path, slice, least) in slices(data) {
        if data.split.is_none() && least > 0 && slice.take == 0 {
            let problem = findings.say(path, format!("`{path}` takes no documents"));
            let problem = problem.allowed("a number of documents of at least 1");
            if data.corpus.path().is_some() {
                problem.hint("or a share of them for training: `data.split: 0.9`");
            }
        } else if slice.take > 0 {
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
    let policy = format!("data.sequence.{}", data.sequence.name());
    data.sequence.get().check(&policy, findings);
    for (path, slice, _) in slices(data) {
        let corpus = slice.corpus.as_ref().unwrap_or(&data.corpus);
        generated_is_bounded(path, slice.take, corpus, findings);
    }
    data.corpus.check("data.corpus", findings);
    for (path, slice, _) in slices(data) {
        if let Some(corpus) = &slice.corpus {
            corpus.check(&format!("{path}.corpus"), findings);
        }
    }
}

/// A tokenizer has room for all bytes and, if it is trained, a corpus to train on.
pub(super) fn tokenizer_fits_corpus(data: &DataSettings, findings: &mut Findings) {
    data.tokenizer.check(findings);
    let Some(kind) = data.tokenizer.learns() else {
        return;
    };
    let corpus = data.train.corpus.as_ref().unwrap_or(&data.corpus);
    if let Some(documents) = kind.documents() {
        let path = format!("data.tokenizer.{}.documents", data.tokenizer.name());
        generated_is_bounded(&path, documents, corpus, findings);
    }
    if data.corpus.get().holds_ids() {
        let message = "`bin` contains token ids, not text to train a tokenizer on";
        let hint = "name the tokenizer that made them: `data.tokenizer: {file: …}`";
        findings.say("data.tokenizer", message).hint(hint);
    }
}

/// `split` replaces the slices.
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

/// A generated corpus has no end of file: without a bound it would fill the memory.
fn generated_is_bounded(path: &str, take: usize, corpus: &Corpus, findings: &mut Findings) {
    let Origin::Generated {
        generator, most, ..
    } = corpus.get().origin()
    else {
        return;
    };
    let name = generator.name();
    if take > most {
        let message = format!("`{path}` takes {take} documents of the embedded corpus `{name}`");
        findings
            .say(path, message)
            .allowed(format!("at most {most}, about 4 GiB of text"))
            .hint("take fewer, or name a corpus of your own with `data.corpus`");
    }
}

/// Explicit ranges of one corpus must not overlap: training documents are not held out.
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
