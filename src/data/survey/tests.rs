use super::*;
use crate::data::document_lengths;
use crate::data::identity::identify;
use crate::data::sample::DOCUMENTS;
use crate::data::test_support::{embedded, yaml};
use crate::spec::Settings;

/// A run with its own cache.
struct Fixture {
    folder: tempfile::TempDir,
    settings: Settings,
}

impl Fixture {
    fn new(data: &str) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            settings: yaml(&format!(
                "{{data: {{tokenizer: {{train_bpe: {{vocab_size: 400}}}}, {data}}}, \
                 model: {{dim: 8, n_layers: 1, n_heads: 1, max_seq_len: 4000}}, \
                 train: {{batch_size: 4, optimizer: {{adamw: {{learning_rate: 0.001}}}}, validate: {{every: end}}}}}}"
            )),
        }
    }

    fn stories(data: &str) -> Self {
        Self::new(&format!("{}, {data}", embedded()))
    }

    fn context(&self) -> DataContext {
        DataContext {
            base: self.folder.path().to_owned(),
            cache: Some(self.folder.path().join("tokens-v1")),
            ..DataContext::default()
        }
    }

    fn survey(&self) -> Survey {
        let Settings { data, model, .. } = &self.settings;
        let identified = identify(data, model, &self.context()).unwrap();
        survey(data, model, &identified, &self.context(), Look::Documents)
    }

    /// Tokenises the training documents and returns their lengths.
    fn tokenise(&self) -> Vec<u32> {
        document_lengths(&self.settings, &self.context(), &mut Vec::new()).unwrap()
    }
}

fn sum(lengths: &[u32]) -> f64 {
    lengths.iter().map(|length| f64::from(*length)).sum()
}

#[test]
fn a_guess_becomes_a_count() {
    let documents = DOCUMENTS + 100;
    let fixture = Fixture::stories(&format!(
        "train: {documents}, validation: 9, seq_len: 64, sequence: impute_concat"
    ));
    let guess = fixture.survey();
    assert!(!guess.is_counted);
    assert_eq!(guess.seq_len, Some(64));
    let guessed = guess.training.as_deref().unwrap();
    assert_eq!(guessed.len(), documents);
    assert_eq!(guessed[..100], guessed[DOCUMENTS..]);
    assert_eq!(guess.validation.as_deref().unwrap().len(), 9);

    let counted = fixture.tokenise();
    let known = fixture.survey();
    assert!(known.is_counted);
    assert_eq!(known.training.as_deref(), Some(&counted[..]));
    let ratio = sum(guessed) / sum(&counted);
    assert!((0.95..1.05).contains(&ratio), "{ratio}");
    let [guessed, counted] = [guess, known].map(|survey| {
        assert_eq!(
            survey.training_inputs.as_ref().unwrap().len(),
            survey.sequences.unwrap()
        );
        survey.sequences.unwrap() as f64
    });
    assert!(
        (0.95..1.05).contains(&(guessed / counted)),
        "{guessed} {counted}"
    );
}

#[test]
fn a_slice_that_is_looked_at_whole_is_guessed_right() {
    let fixture = Fixture::stories("train: 60, validation: 9");
    let guessed = fixture.survey().training.unwrap();
    assert_eq!(guessed, fixture.tokenise());
}

#[test]
fn a_guess_is_kept_and_made_again_where_it_is_damaged() {
    let fixture = Fixture::stories("train: 20, validation: 3");
    let first = fixture.survey();
    let slices = fixture.folder.path().join("tokens-v1/slices");
    assert!(!slices.exists(), "looking makes no store");
    std::fs::create_dir_all(&slices).unwrap();
    assert_eq!(fixture.survey(), first);
    let files = || {
        let folders = std::fs::read_dir(&slices).unwrap();
        let files = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
        files.map(|file| file.unwrap().path()).collect::<Vec<_>>()
    };
    assert_eq!(files().len(), 2);
    for file in files() {
        std::fs::write(file, "no lengths").unwrap();
    }
    assert_eq!(fixture.survey(), first);
    for file in files() {
        assert_ne!(std::fs::read(file).unwrap(), b"no lengths");
    }
}

#[test]
fn a_long_document_counts_in_proportion() {
    let line = "All the birds of the wood came and sang a song for the old king. ";
    let fixture =
        Fixture::new("corpus: {text: {path: a.txt, separator: \"|\"}}, train: 2, validation: 1");
    let text = [line, &line.repeat(3000), line].join("\n|\n");
    std::fs::write(fixture.folder.path().join("a.txt"), text).unwrap();
    let guessed = fixture.survey().training.unwrap();
    let counted = fixture.tokenise();
    let ratio = f64::from(guessed[0]) / f64::from(counted[0]);
    assert!((0.99..1.01).contains(&ratio), "{guessed:?} {counted:?}");
}

#[test]
fn what_cannot_be_guessed_stays_open() {
    // Too many documents to hold their lengths in memory.
    let large = Fixture::stories("train: 1000000000000, validation: 2").survey();
    assert_eq!((large.training, large.training_inputs), (None, None));
    assert_eq!(large.sequences, Some(1_000_000_000_000));
    assert!(large.validation.is_some());

    // Nothing was sampled.
    let fixture = Fixture::stories("train: 5, validation: 2");
    let Settings { data, model, .. } = &fixture.settings;
    let context = fixture.context();
    let identified = identify(data, model, &context).unwrap();
    let survey = survey(data, model, &identified, &context, Look::Counts);
    assert_eq!((survey.training, survey.validation), (None, None));
    assert_eq!(survey.ids, Survey::unknown(5).ids);

    // A stream has no sequences to count.
    let stream = Fixture::stories("train: 5, validation: 2, sequence: stream").survey();
    assert!(stream.training.is_some() && stream.validation.is_some());
    assert_eq!(
        (stream.training_inputs, stream.validation_inputs),
        (None, None)
    );
    assert_eq!(stream.sequences, None);
}

#[test]
fn the_shortest_document_is_among_those_looked_at() {
    let fixture =
        Fixture::stories("train: 30, validation: 2, sequence: discard, seq_len: shortest");
    let guess = fixture.survey();
    let counted = fixture.tokenise();
    let least = counted.iter().min().map(|least| *least as usize);
    assert_eq!(guess.seq_len, least);
}

#[test]
fn what_is_generated_together_is_a_share_of_the_documents() {
    let share = |data: &str| Fixture::stories(data).survey().together;
    assert_eq!(share("train: 60, validation: 9"), 1.0);
    assert_eq!(share("train: 512, validation: 9"), 0.5);
    let file =
        Fixture::new("corpus: {text: {path: a.txt, separator: \"|\"}}, train: 1, validation: 1");
    std::fs::write(file.folder.path().join("a.txt"), "One.\n|\nTwo.\n").unwrap();
    let read = file.survey();
    assert_eq!(read.together, 0.0);
    assert!(read.ids > 0 && !read.is_counted);
}
