//! The corpus and document range of each slice. Opens no file.
//!
//! Without `skip`, slices of one corpus follow one another: validation, test, training. A slice with `skip` has exactly
//! that range. A slice with its own `corpus` counts in that corpus. No two slices may share a document. `data.draw: n`
//! shifts all slices but the tokenizer's by `n` times the end of the last slice in the same corpus.

use super::source::{self, Origin};
use super::{DataContext, DataError};
use crate::spec::{Corpus, DataSettings, Slice};
use std::ops::Range;
use std::path::PathBuf;

/// Documents of a corpus.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DocumentRange {
    /// `train`, `validation` or `test` (for the tokenizer's documents: `train`).
    pub(crate) slice: &'static str,
    /// Their corpus.
    pub(crate) corpus: Corpus,
    /// Indices, from 0.
    pub(crate) range: Range<usize>,
}

/// All ranges of a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slices {
    /// `data.train`.
    pub(crate) train: DocumentRange,
    /// `data.validation`.
    pub(crate) validation: DocumentRange,
    /// `data.test`; may be empty.
    pub(crate) test: DocumentRange,
    /// Training documents of a trained tokenizer.
    pub(crate) tokenizer: Option<DocumentRange>,
}

impl Slices {
    /// Determines the ranges of `settings` and checks that they do not overlap.
    pub(crate) fn of(settings: &DataSettings, context: &DataContext) -> Result<Self, DataError> {
        let corpus_of = |slice: &Slice| {
            slice
                .corpus
                .clone()
                .unwrap_or_else(|| settings.corpus.clone())
        };
        let mut taken: Vec<(SourceKey, usize)> = Vec::new();
        let mut place = |name: &'static str, slice: &Slice| {
            let corpus = corpus_of(slice);
            let start = match slice.skip {
                Some(skip) => skip,
                None => {
                    let key = source_key(&corpus, context);
                    let start = taken
                        .iter()
                        .filter(|(other, _)| *other == key)
                        .map(|(_, take)| take)
                        .sum();
                    taken.push((key, slice.take));
                    start
                }
            };
            DocumentRange {
                slice: name,
                corpus,
                range: start..start.saturating_add(slice.take),
            }
        };
        let validation = place("validation", &settings.validation);
        let test = place("test", &settings.test);
        let train = place("train", &settings.train);
        let tokenizer = settings.tokenizer.learns().map(|kind| {
            let take = kind.documents().unwrap_or(settings.train.take);
            let start = train.range.start;
            DocumentRange {
                range: start..start.saturating_add(take),
                ..train.clone()
            }
        });
        let mut slices = Self {
            train,
            validation,
            test,
            tokenizer,
        };
        if settings.draw > 0 {
            slices.draw(settings.draw, context);
        }
        slices.check(context)?;
        Ok(slices)
    }

    /// Shifts the slices to other documents of their corpora.
    fn draw(&mut self, draw: usize, context: &DataContext) {
        let slices = [&self.train, &self.validation, &self.test];
        let ends: Vec<(SourceKey, usize)> = slices
            .into_iter()
            .chain(&self.tokenizer)
            .map(|slice| (source_key(&slice.corpus, context), slice.range.end))
            .collect();
        for slice in [&mut self.train, &mut self.validation, &mut self.test] {
            let own = source_key(&slice.corpus, context);
            let same = ends.iter().filter(|(key, _)| *key == own);
            let reach = same.map(|(_, end)| *end).max().unwrap_or(0);
            let by = reach.saturating_mul(draw);
            slice.range = slice.range.start.saturating_add(by)..slice.range.end.saturating_add(by);
        }
    }

    fn check(&self, context: &DataContext) -> Result<(), DataError> {
        for slice in [&self.train, &self.validation] {
            if slice.range.is_empty() {
                return Err(DataError::EmptySlice { slice: slice.slice });
            }
        }
        let mut named = vec![
            ("data.train", &self.train),
            ("data.validation", &self.validation),
            ("data.test", &self.test),
        ];
        if let Some(tokenizer) = &self.tokenizer {
            if tokenizer.range.is_empty() {
                return Err(DataError::EmptySlice {
                    slice: "tokenizer.train_bpe.documents",
                });
            }
            named.push(("data.tokenizer.train_bpe.documents", tokenizer));
        }
        let keys: Vec<_> = named
            .iter()
            .map(|(_, slice)| source_key(&slice.corpus, context))
            .collect();
        for second in 1..named.len() {
            for first in 0..second {
                // The tokenizer is trained on training documents by design.
                if first == 0 && second == 3 || keys[first] != keys[second] {
                    continue;
                }
                let (a, b) = (&named[first].1.range, &named[second].1.range);
                if a.start.max(b.start) < a.end.min(b.end) {
                    return Err(DataError::Overlap {
                        first: named[first].0,
                        first_range: (a.start, a.end),
                        second: named[second].0,
                        second_range: (b.start, b.end),
                        corpus: source::describe(&named[first].1.corpus),
                    });
                }
            }
        }
        Ok(())
    }
}

/// Number of documents from the start of `corpus` to the end of the last slice; `None` if the slices are impossible.
pub(crate) fn reach(
    settings: &DataSettings,
    corpus: &Corpus,
    context: &DataContext,
) -> Option<usize> {
    let slices = Slices::of(settings, context).ok()?;
    let all = [&slices.train, &slices.validation, &slices.test];
    let all = all.into_iter().chain(&slices.tokenizer);
    let of_corpus = all.filter(|slice| slice.corpus == *corpus);
    Some(of_corpus.map(|slice| slice.range.end).max().unwrap_or(0))
}

/// Identifies a source of documents, regardless of how its path is written.
#[derive(Clone, Debug, PartialEq)]
enum SourceKey {
    Embedded(&'static str, u32, u64),
    Files(Vec<PathBuf>),
}

fn source_key(corpus: &Corpus, context: &DataContext) -> SourceKey {
    match corpus.get().origin() {
        Origin::Generated {
            generator,
            parameters,
            ..
        } => SourceKey::Embedded(generator.name(), parameters.version, parameters.seed),
        Origin::Files(paths) => {
            SourceKey::Files(paths.iter().map(|path| context.same_file(path)).collect())
        }
        Origin::Folder(folder) => SourceKey::Files(vec![context.same_file(&folder.path)]),
        Origin::Set(set) => SourceKey::Files(vec![set.name.into()]),
    }
}

/// Turns `split: 0.9` into slices: the first documents for training, the rest for the validation loss.
///
/// # Errors
/// Missing or damaged files; a corpus too small to be split.
pub(crate) fn resolve_split(
    settings: &mut DataSettings,
    context: &DataContext,
) -> Result<(), DataError> {
    let Some(split) = settings.split.take() else {
        return Ok(());
    };
    let corpus = &settings.corpus;
    let available = super::identity::count_documents(settings, context)?;
    let train = (available as f64 * split).round() as usize;
    if train == 0 || train >= available {
        return Err(DataError::Split {
            split,
            corpus: source::describe(corpus),
            available,
        });
    }
    let slice = |skip, take| Slice {
        skip: Some(skip),
        take,
        corpus: None,
    };
    settings.train = slice(0, train);
    settings.validation = slice(train, available - train);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::test_support::{data_settings, embedded};
    use insta::assert_snapshot;

    fn ranges(text: &str) -> String {
        match Slices::of(&data_settings(text), &DataContext::default()) {
            Ok(slices) => format!(
                "validation {:?}, test {:?}, train {:?}, tokenizer {:?}",
                slices.validation.range,
                slices.test.range,
                slices.train.range,
                slices.tokenizer.map(|t| t.range)
            ),
            Err(error) => error.to_string(),
        }
    }

    fn with(rest: &str) -> String {
        format!(
            "{}, tokenizer: {{train_bpe: {{vocab_size: 300}}}}, {rest}",
            embedded()
        )
    }

    #[test]
    fn held_out_documents_come_first() {
        assert_snapshot!(ranges(&with("train: 2500, validation: 100, test: 50")), @"validation 0..100, test 100..150, train 150..2650, tokenizer Some(150..2650)");
        assert_snapshot!(ranges(&with("train: 25, validation: 100")), @"validation 0..100, test 100..100, train 100..125, tokenizer Some(100..125)");
    }

    #[test]
    fn skip_is_taken_as_written() {
        assert_snapshot!(ranges(&with("train: {skip: 0, take: 2500}, validation: {skip: 2500, take: 300}, test: {skip: 2800, take: 200}")), @"validation 2500..2800, test 2800..3000, train 0..2500, tokenizer Some(0..2500)");
        assert_snapshot!(ranges(&with("train: 10, validation: {skip: 50, take: 5}, test: 3")), @"validation 50..55, test 0..3, train 3..13, tokenizer Some(3..13)");
    }

    #[test]
    fn a_draw_moves_on_and_leaves_the_tokenizer() {
        assert_snapshot!(ranges(&with("draw: 2, train: 25, validation: 100, test: 5")), @"validation 260..360, test 360..365, train 365..390, tokenizer Some(105..130)");
        let other = "{take: 7, corpus: {stories: {version: 1, seed: 9}}}";
        assert_snapshot!(ranges(&with(&format!("draw: 1, train: 10, validation: {other}"))), @"validation 7..14, test 10..10, train 10..20, tokenizer Some(0..10)");
    }

    #[test]
    fn another_corpus_counts_for_itself() {
        let other = "{take: 7, corpus: {stories: {version: 1, seed: 9}}}";
        assert_snapshot!(ranges(&with(&format!("train: 10, validation: {other}, test: {other}"))), @"validation 0..7, test 7..14, train 0..10, tokenizer Some(0..10)");
    }

    #[test]
    fn overlaps_name_both_ranges() {
        assert_snapshot!(ranges(&with("train: {skip: 50, take: 100}, validation: 60")), @"`data.train` (documents 51 to 150) and `data.validation` (documents 1 to 60) of the embedded corpus `stories` overlap; held-out documents must not be trained on");
        assert_snapshot!(ranges(&with("train: {skip: 0, take: 10}, validation: {skip: 10, take: 5}, test: {skip: 14, take: 1}")), @"`data.validation` (documents 11 to 15) and `data.test` (documents 15 to 15) of the embedded corpus `stories` overlap; held-out documents must not be trained on");
        let bpe = with("train: {skip: 0, take: 10}, validation: {skip: 10, take: 5}")
            .replace("300}", "300, documents: 12}");
        assert_snapshot!(ranges(&bpe), @"`data.validation` (documents 11 to 15) and `data.tokenizer.train_bpe.documents` (documents 1 to 12) of the embedded corpus `stories` overlap; held-out documents must not be trained on");
        assert_snapshot!(ranges("corpus: {text: {path: ./a/../b.txt}}, tokenizer: {file: t}, train: 5, validation: {take: 5, skip: 2, corpus: {text: {path: b.txt}}}"), @"`data.train` (documents 1 to 5) and `data.validation` (documents 3 to 7) of `./a/../b.txt` overlap; held-out documents must not be trained on");
    }

    #[test]
    fn empty_slices_are_refused() {
        assert_snapshot!(ranges(&with("train: 0, validation: 1")), @"`data.train` takes no documents; at least 1 is needed");
        assert_snapshot!(ranges(&with("train: 1, validation: 0")), @"`data.validation` takes no documents; at least 1 is needed");
    }

    #[test]
    fn a_split_is_the_slices_that_it_stands_for() {
        let folder = tempfile::tempdir().unwrap();
        let lines: String = (0..10).map(|n| format!("document {n}\n")).collect();
        std::fs::write(folder.path().join("t.txt"), lines).unwrap();
        let context = DataContext {
            base: folder.path().to_owned(),
            ..DataContext::default()
        };
        let split = |share: &str| {
            let corpus = r#"corpus: {text: {path: t.txt, separator: "\n"}}, tokenizer: bytes"#;
            let mut settings = data_settings(&format!("{corpus}, split: {share}"));
            resolve_split(&mut settings, &context)
                .and_then(|()| Slices::of(&settings, &context))
                .map(|slices| (slices.train.range, slices.validation.range))
                .map_err(|error| error.to_string())
        };
        assert_eq!(split("0.8"), Ok((0..8, 8..10)));
        assert_eq!(split("0.55"), Ok((0..6, 6..10)));
        assert_snapshot!(split("0.99").unwrap_err(), @"`data.split: 0.99` leaves training or validation without documents: `t.txt` has 10 documents");
    }
}
