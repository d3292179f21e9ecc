//! Tokenizers that are made from files of other programs.

use super::*;
use std::fmt::Write as _;

/// What a spec names, opened.
fn kind(text: &str, folder: &Path) -> TextTokenizer {
    let context = crate::data::DataContext {
        base: folder.to_owned(),
        ..crate::data::DataContext::default()
    };
    let settings: crate::spec::Tokenizer = crate::data::test_support::yaml(text);
    open(&settings, &context).unwrap().unwrap()
}

#[test]
fn bytes_are_tokens() {
    let tokenizer = kind("bytes", Path::new(""));
    assert_eq!(
        (tokenizer.vocab_size(), tokenizer.is_lossless()),
        (257, true)
    );
    assert_eq!(tokenizer.encode("hä\n").unwrap(), [105, 196, 165, 11]);
    assert_eq!(tokenizer.decode(&[105, 196, 165, 11]).unwrap(), "hä\n");
}

/// A length-delimited field of Protocol Buffers.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, bytes.len() as u8][..], bytes].concat()
}

/// A small SentencePiece model: BPE (2) or unigram (1), with a user-defined piece, bytes where `bytes` says so.
fn model(algorithm: u8, bytes: bool) -> Vec<u8> {
    let piece = |text: &str, score: f32, kind: u8| {
        let score = [&[2 << 3 | 5][..], &score.to_le_bytes()].concat();
        field(
            1,
            &[field(1, text.as_bytes()), score, vec![3 << 3, kind]].concat(),
        )
    };
    let mut file = [
        piece("<unk>", 0.0, 2),
        piece("<s>", 0.0, 3),
        piece("</s>", 0.0, 3),
    ]
    .concat();
    if bytes {
        (0..=255_u8).for_each(|byte| file.extend(piece(&format!("<0x{byte:02X}>"), 0.0, 6)));
    }
    for (index, text) in ["[x]", "\u{2581}a", "bb", "\u{2581}", "a", "b", "c"]
        .iter()
        .enumerate()
    {
        file.extend(piece(text, -(index as f32), if index == 0 { 4 } else { 1 }));
    }
    let trainer = [vec![3 << 3, algorithm], vec![0x98, 2, u8::from(bytes)]].concat();
    [file, field(2, &trainer), field(3, &[4 << 3, 0])].concat()
}

#[test]
fn sentencepiece_models_are_read() {
    let folder = tempfile::tempdir().unwrap();
    for algorithm in [1, 2] {
        std::fs::write(folder.path().join("m.model"), model(algorithm, true)).unwrap();
        let tokenizer = kind("{sentencepiece: m.model}", folder.path());
        assert_eq!(
            (tokenizer.bos(), tokenizer.eos(), tokenizer.vocab_size()),
            (1, 2, 266)
        );
        // The user-defined piece is one wherever it stands; a character without a piece is its bytes.
        let ids = tokenizer.encode(" abb[x]ä").unwrap();
        assert_eq!(ids, [262, 260, 261, 259, 3 + 0xC3, 3 + 0xA4]);
        assert_eq!(tokenizer.decode(&ids).unwrap(), " abb[x]ä");
        assert_eq!(tokenizer.lost(" abb[x]ä", &ids).unwrap(), None);
        // The one file that is kept is the whole tokenizer.
        let again = TextTokenizer::from_bytes(tokenizer.json(), Path::new("kept")).unwrap();
        assert_eq!(again.encode(" abb[x]ä").unwrap(), ids);

        std::fs::write(folder.path().join("m.model"), model(algorithm, false)).unwrap();
        let tokenizer = kind("{sentencepiece: m.model}", folder.path());
        // Unknown characters in a row are one piece, and are lost.
        assert_eq!(tokenizer.encode("ayzc").unwrap(), [4, 0, 9]);
        assert!(tokenizer.lost("ayzc", &[4, 0, 9]).unwrap().is_some());
    }
}

#[test]
fn damaged_models_are_refused() {
    let whole = model(2, true);
    for cut in (1..whole.len()).step_by(97) {
        // Any prefix is an error or a smaller model, and never a panic.
        let _ = sentencepiece::to_json(&whole[..cut]);
    }
    assert_snapshot!(sentencepiece::to_json(b"once upon a time").unwrap_err(), @"not a usable SentencePiece model: it is damaged or another kind of file");
}

#[test]
fn llama_models_give_known_ids() {
    let Some(path) = real("llama-tokenizer/tokenizer.model") else {
        return;
    };
    let tokenizer = kind(
        &format!("{{sentencepiece: '{}'}}", path.display()),
        Path::new(""),
    );
    assert_eq!(
        (tokenizer.bos(), tokenizer.eos(), tokenizer.vocab_size()),
        (1, 2, 32_000)
    );
    assert_eq!(
        tokenizer.encode("Once upon a time").unwrap(),
        [9038, 2501, 263, 931]
    );
    let text = "  Two spaces, ä, \u{1f600}\n\tand </s>";
    let ids = tokenizer.encode(text).unwrap();
    assert_eq!(
        (tokenizer.decode(&ids).unwrap().as_str(), ids.contains(&2)),
        (text, false)
    );
}

/// A small `tokenizer.bin` of llama2.c: the three special entries, the bytes, and some pieces.
fn llama2c_file() -> Vec<u8> {
    let mut file = 5_i32.to_le_bytes().to_vec();
    let mut entry = |text: &str, score: f32| {
        file.extend(score.to_le_bytes());
        file.extend((text.len() as i32).to_le_bytes());
        file.extend(text.as_bytes());
    };
    ["<unk>", "\n<s>\n", "\n</s>\n"].map(|text| entry(text, 0.0));
    (0..=255_u8).for_each(|byte| entry(&format!("<0x{byte:02X}>"), 0.0));
    for (index, text) in [" a", "bb", " ", "a", "b"].iter().enumerate() {
        entry(text, -(index as f32));
    }
    file
}

#[test]
fn tokenizers_of_llama2c_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.bin");
    std::fs::write(&path, llama2c_file()).unwrap();
    let tokenizer = kind("{llama2c: t.bin}", folder.path());
    assert_eq!(
        (tokenizer.bos(), tokenizer.eos(), tokenizer.vocab_size()),
        (1, 2, 264)
    );
    let ids = tokenizer.encode("abbä").unwrap();
    assert_eq!(ids, [259, 260, 3 + 0xC3, 3 + 0xA4]);
    assert_eq!(tokenizer.decode(&ids).unwrap(), "abbä");
    for cut in [0, 3, 40, llama2c_file().len() - 1] {
        std::fs::write(&path, &llama2c_file()[..cut]).unwrap();
        let settings = crate::data::test_support::yaml("{llama2c: t.bin}");
        let context = crate::data::DataContext {
            base: folder.path().to_owned(),
            ..crate::data::DataContext::default()
        };
        let error = open(&settings, &context).unwrap_err().to_string();
        assert!(error.contains("not a tokenizer of llama2.c"), "{error}");
    }
    let (Some(bin), Some(model)) = (
        real("stories260K/tok512.bin"),
        real("stories260K/tok512.model"),
    ) else {
        return;
    };
    let open =
        |name: &str, path: &Path| kind(&format!("{{{name}: '{}'}}", path.display()), Path::new(""));
    let (bin, model) = (open("llama2c", &bin), open("sentencepiece", &model));
    // Of several spaces in a row the file does not tell that SentencePiece drops them; nor does llama2.c.
    for text in [
        "Once upon a time, Lily saw a red ball.",
        "ä \u{1f600}\n\n</s>x",
    ] {
        assert_eq!(bin.encode(text).unwrap(), model.encode(text).unwrap());
    }
}

#[test]
fn gpt2_and_tiktoken_files_give_the_ids_of_its_json() {
    let (Some(json), Some(vocabulary)) = (
        real("gpt2-tokenizer/tokenizer.json"),
        real("gpt2-tokenizer/vocab.json"),
    ) else {
        return;
    };
    let folder = vocabulary.parent().unwrap();
    let (reference, gpt2) = (
        TextTokenizer::read(&json).unwrap(),
        kind("{gpt2: .}", folder),
    );
    // The same vocabulary as a rank file: the ranks of GPT-2 are its merges in order, so not its ids of bytes.
    for text in TEXTS {
        assert_eq!(gpt2.encode(text).unwrap(), reference.encode(text).unwrap());
    }
    assert_eq!(
        (gpt2.bos(), gpt2.eos(), gpt2.vocab_size()),
        (50256, 50256, 50257)
    );
}

#[test]
fn tiktoken_ranks_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let encode = |bytes: &[u8]| {
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for chunk in bytes.chunks(3) {
            let bits = chunk
                .iter()
                .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
                << (8 * (3 - chunk.len()));
            for at in 0..4 {
                let letter = letters[(bits >> (18 - 6 * at) & 63) as usize];
                text.push(if at <= chunk.len() {
                    char::from(letter)
                } else {
                    '='
                });
            }
        }
        text
    };
    let mut file: String = (0..=255_u8)
        .map(|byte| format!("{} {byte}\n", encode(&[byte])))
        .collect();
    for (rank, token) in ["he", "ll", "hell", " w", "hello"].iter().enumerate() {
        writeln!(file, "{} {}", encode(token.as_bytes()), 256 + rank).unwrap();
    }
    std::fs::write(folder.path().join("r.tiktoken"), &file).unwrap();
    let tokenizer = kind(
        "{tiktoken: {path: r.tiktoken, pattern: gpt2}}",
        folder.path(),
    );
    assert_eq!((tokenizer.bos(), tokenizer.vocab_size()), (261, 262));
    assert_eq!(
        tokenizer.encode("hello hell w").unwrap(),
        [260, 32, 258, 259]
    );
    assert_eq!(
        tokenizer.decode(&[260, 32, 258, 259]).unwrap(),
        "hello hell w"
    );
    assert_snapshot!(tiktoken::to_json(b"aGU= 1\nx", crate::spec::Pattern::Gpt2).unwrap_err(), @"line 2: expected a token in base64 and its rank");
}

/// Ids for `scripts/tokenizer-interop.py`, which compares them with those of the original programs.
#[test]
#[ignore = "driven by scripts/tokenizer-interop.py"]
fn ids_for_other_programs() {
    let Ok(path) = std::env::var("SPECBOOK_INTEROP") else {
        return;
    };
    let asked: Vec<(String, Vec<String>)> =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let answers = asked.iter().map(|(tokenizer, texts)| {
        let tokenizer = kind(tokenizer, Path::new(""));
        let one = |text: &String| {
            let ids = tokenizer.encode(text).unwrap();
            let back = tokenizer.decode(&ids).unwrap();
            (ids, back)
        };
        texts.iter().map(one).collect::<Vec<_>>()
    });
    let answers: Vec<_> = answers.collect();
    std::fs::write(path + ".ids", serde_json::to_vec(&answers).unwrap()).unwrap();
}
