use super::*;
use crate::digest::Sha256Hex;
use crate::text::test_support::real;
use insta::assert_snapshot;
use proptest::prelude::*;

mod formats;

const TEXTS: [&str; 4] = [
    "Once upon a time, there was a little girl. She didn't like rain; she'll walk  \n\n  on.\tTwo  spaces",
    "the theme of the other mother: 12345 67 + 89 != 0 (x) it's we've I'm",
    "na\u{ef}ve \u{1f600}\u{1f600} \u{4f60}\u{597d} \u{a0}x\u{2028}y caf\u{e9}s",
    "aaaa aaaa aaaa abab abab",
];

fn trained(vocab_size: usize) -> TextTokenizer {
    let bytes = TextTokenizer::train_bpe(&TEXTS, vocab_size).unwrap();
    TextTokenizer::from_bytes(&bytes, Path::new("trained")).unwrap()
}

/// A `tokenizer.json` with these parts and a model of three letters.
fn file(added: &str, rest: &str) -> String {
    format!(
        r#"{{"version":"1.0","truncation":null,"padding":null,"added_tokens":[{added}],"normalizer":null,"pre_tokenizer":null,"post_processor":null,"decoder":null,
        "model":{{"type":"BPE","vocab":{{"a":0,"b":1,"c":2,"<s>":3,"</s>":4}},"merges":[]}}{rest}}}"#
    )
}

fn special(id: u32, content: &str) -> String {
    format!(
        r#"{{"id":{id},"content":"{content}","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}}"#
    )
}

fn parse(text: &str) -> Result<TextTokenizer, String> {
    TextTokenizer::from_bytes(text.as_bytes(), Path::new("t.json"))
        .map_err(|error| error.to_string())
}

#[test]
fn trained_tokenizer_round_trips() {
    let tokenizer = trained(270);
    assert_eq!(
        (tokenizer.bos(), tokenizer.eos(), tokenizer.vocab_size()),
        (0, 0, 270)
    );
    for text in TEXTS
        .iter()
        .chain(&["", " ", "\u{0}\u{7f}", "<|endoftext|>"])
    {
        let ids = tokenizer.encode(text).unwrap();
        assert!(!ids.contains(&0), "text never makes the special token");
        assert_eq!(tokenizer.decode(&ids).unwrap(), *text);
    }
    assert_eq!(
        tokenizer
            .decode(&[0, tokenizer.encode("a").unwrap()[0], 0])
            .unwrap(),
        "a"
    );
}

#[test]
fn training_is_the_same_for_any_number_of_threads() {
    let texts: Vec<String> = (0..500u64)
        .map(|i| {
            crate::text::corpora::document(
                crate::text::corpora::Generator::Stories,
                &crate::spec::Embedded {
                    version: 1,
                    seed: 3,
                },
                i,
            )
        })
        .chain(TEXTS.map(str::to_owned))
        .collect();
    let with = |threads| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(|| TextTokenizer::train_bpe(&texts, 400).unwrap())
    };
    let one = with(1);
    assert_eq!(one, with(3));
    assert_eq!(one, with(3));
}

#[test]
fn merges_follow_counts_and_ties_follow_ids() {
    // `abab` twice: (a, b) 4 times, (b, a) and ( , a) twice; then (ab, ab) and ( , ab) tie, and the smaller left id wins.
    let bytes = TextTokenizer::train_bpe(&["abab abab"], 260).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(
        json["model"]["merges"].to_string(),
        r#"[["a","b"],["ab","ab"]]"#
    );
    let tied = TextTokenizer::train_bpe(&["xy zw xy zw"], 258).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&tied).unwrap();
    // (space, z), (x, y) and (z, w) all occur twice; the space has the smallest id.
    assert_eq!(json["model"]["merges"].to_string(), r#"[["Ġ","z"]]"#);
}

/// Pinned: a change here is a new `ALGORITHM`.
#[test]
fn trained_bytes_are_pinned() {
    let bytes = TextTokenizer::train_bpe(&TEXTS, 280).unwrap();
    assert_snapshot!(Sha256Hex::of(&bytes), @"dbb4bc86dffc1b37595353fd48239a6bafb0766e781b82902ed26b65bf52a9df");
}

/// The library's trainer on the same words: unless there are ties, the counts of each merge must agree.
#[test]
fn merges_equal_a_naive_trainer() {
    let bytes = TextTokenizer::train_bpe(&TEXTS, 320).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let merges: Vec<[String; 2]> = serde_json::from_value(json["model"]["merges"].clone()).unwrap();
    let vocab: std::collections::BTreeMap<String, u32> =
        serde_json::from_value(json["model"]["vocab"].clone()).unwrap();
    let letters: Vec<&String> = {
        let mut letters: Vec<_> = vocab.iter().collect();
        letters.sort_by_key(|(_, id)| **id);
        letters.into_iter().map(|(letter, _)| letter).collect()
    };
    let mut words: Vec<Vec<u32>> = TEXTS
        .iter()
        .flat_map(|text| train::library_words(text).unwrap())
        .map(|word| word.bytes().map(|byte| u32::from(byte) + 1).collect())
        .collect();
    for [left, right] in merges {
        let mut counts = std::collections::BTreeMap::new();
        for pair in words.iter().flat_map(|word| word.windows(2)) {
            *counts.entry((pair[0], pair[1])).or_insert(0u32) += 1;
        }
        let best = counts
            .iter()
            .max_by_key(|(pair, count)| (**count, std::cmp::Reverse(**pair)))
            .unwrap();
        let (a, b) = *best.0;
        assert_eq!((letters[a as usize], letters[b as usize]), (&left, &right));
        let id = vocab[&format!("{left}{right}")];
        for word in &mut words {
            let mut at = 0;
            while at + 1 < word.len() {
                if (word[at], word[at + 1]) == (a, b) {
                    word.splice(at..at + 2, [id]);
                }
                at += 1;
            }
        }
    }
}

#[test]
fn vocabulary_ends_where_nothing_repeats() {
    assert_eq!(
        TextTokenizer::from_bytes(
            &TextTokenizer::train_bpe(&["ab"], 1000).unwrap(),
            Path::new("t")
        )
        .unwrap()
        .vocab_size(),
        257
    );
    let no_texts: [&str; 0] = [];
    assert!(TextTokenizer::train_bpe(&no_texts, 257).is_ok());
    assert_snapshot!(TextTokenizer::train_bpe(&TEXTS, 256).unwrap_err(), @"`data.tokenizer.train_bpe.vocab_size` is 256; allowed are 257 to 65536 (256 bytes and one special token come first)");
}

#[test]
fn special_tokens_are_found_or_named() {
    let tokenizer = parse(&file(
        &[special(3, "<s>"), special(4, "</s>")].join(","),
        "",
    ))
    .unwrap();
    assert_eq!((tokenizer.bos(), tokenizer.eos()), (3, 4));
    // A special `<|endoftext|>` takes precedence over ordinary entries that look like `<s>`.
    let tokenizer = parse(&file(&special(5, "<|endoftext|>"), "")).unwrap();
    assert_eq!(
        (tokenizer.bos(), tokenizer.eos(), tokenizer.vocab_size()),
        (5, 5, 6)
    );
    let none = file("", "").replace("\"<s>\":3,\"</s>\":4", "\"d\":3");
    assert_snapshot!(parse(&none).unwrap_err(), @r#"tokenizer `t.json`: no token is known to begin or end a text: it has no special tokens; name them in the spec, as in `tokenizer: {file: {path: …, bos: "[START]", eos: "[END]"}}`"#);
}

#[test]
fn truncation_padding_and_dropout_are_switched_off_and_said() {
    let text = file("", "")
        .replace("\"truncation\":null", r#""truncation":{"direction":"Right","max_length":2,"strategy":"LongestFirst","stride":0}"#)
        .replace(
            "\"padding\":null",
            r#""padding":{"strategy":{"Fixed":50},"direction":"Right","pad_to_multiple_of":null,"pad_id":0,"pad_type_id":0,"pad_token":"a"}"#,
        )
        .replace("\"type\":\"BPE\",", "\"type\":\"BPE\",\"dropout\":0.5,");
    let tokenizer = parse(&text).unwrap();
    assert_eq!(tokenizer.encode("abcabc").unwrap(), [0, 1, 2, 0, 1, 2]);
    assert_snapshot!(tokenizer.notes().join("\n"), @"
    the tokenizer file cuts texts at 2 tokens; this is switched off
    the tokenizer file pads texts; this is switched off
    the tokenizer file drops merges at random; this is switched off
    ");
}

#[test]
fn unusable_files_are_refused() {
    assert!(
        parse("{}")
            .unwrap_err()
            .starts_with("tokenizer `t.json`: not a usable `tokenizer.json`: ")
    );
    assert!(parse("").is_err());
    let huge = file("", "").replace("\"c\":2", "\"c\":4000000000");
    assert_snapshot!(parse(&huge).unwrap_err(), @"tokenizer `t.json`: its largest id is 4000000000; at most 1048575 is supported");
    assert!(
        TextTokenizer::read(Path::new("no/such/tokenizer.json"))
            .unwrap_err()
            .to_string()
            .starts_with("cannot read `no/such/tokenizer.json`: ")
    );
}

#[test]
fn continuation_keeps_the_space_in_between() {
    let Some(path) = real("llama-tokenizer/tokenizer.json") else {
        return;
    };
    let tokenizer = TextTokenizer::read(&path).unwrap();
    assert_eq!(
        (tokenizer.bos(), tokenizer.eos(), tokenizer.vocab_size()),
        (1, 2, 32_000)
    );
    let all = tokenizer.encode("My homework is going to be").unwrap();
    let mut spaces = 0;
    for at in 0..all.len() {
        let prompt = [&[1], &all[..at]].concat();
        let before = tokenizer.decode(&prompt).unwrap();
        let after = tokenizer.decode_continuation(&prompt, &all[at..]).unwrap();
        spaces += usize::from(after.starts_with(' '));
        assert_eq!(before + &after, "My homework is going to be");
    }
    assert_eq!(spaces, 5);
    assert_eq!(
        tokenizer
            .encode("</s>")
            .unwrap()
            .iter()
            .filter(|id| **id == 2)
            .count(),
        0
    );
    // Known ids of this vocabulary.
    assert_eq!(
        tokenizer.encode("Once upon a time").unwrap(),
        [9038, 2501, 263, 931]
    );
}

#[test]
fn real_stories_round_trip_byte_for_byte() {
    let (Some(path), Some(text)) = (
        real("tinystories-bpe-4096/tokenizer.json"),
        real("tinystories-train-head/TinyStories-train-head-2MiB.txt"),
    ) else {
        return;
    };
    let tokenizer = TextTokenizer::read(&path).unwrap();
    assert_eq!(
        (tokenizer.bos(), tokenizer.eos(), tokenizer.vocab_size()),
        (0, 0, 4096)
    );
    let text = String::from_utf8_lossy(&std::fs::read(text).unwrap()).into_owned();
    let stories: Vec<&str> = text.split("<|endoftext|>").map(str::trim).collect();
    assert_eq!(stories.len(), 2317);
    let encoded = tokenizer.encode_all(&stories).unwrap();
    // This vocabulary lacks bytes that 7 stories need. The others are recovered byte for byte.
    let exact = |(story, ids): (&&str, &Vec<u32>)| tokenizer.decode(ids).unwrap() == **story;
    let back = stories
        .iter()
        .zip(&encoded)
        .filter(|pair| exact(*pair))
        .count();
    assert_eq!(back, 2310);
    assert!(
        stories
            .iter()
            .zip(&encoded)
            .filter(|(story, _)| story.is_ascii())
            .all(exact)
    );
    assert_snapshot!(tokenizer.notes().join("\n"), @"the tokenizer file has no entry for 105 of the 256 bytes; characters that need them are lost from texts");
    // The fast path for ASCII gives the library's ids.
    for (story, ids) in stories.iter().zip(&encoded).step_by(37) {
        assert_eq!(
            tokenizer
                .inner
                .encode_fast(*story, false)
                .unwrap()
                .get_ids(),
            ids
        );
    }
}

#[test]
fn gpt2_ids_are_the_known_ones() {
    let Some(path) = real("gpt2-tokenizer/tokenizer.json") else {
        return;
    };
    let tokenizer = TextTokenizer::read(&path).unwrap();
    assert_eq!(
        (tokenizer.bos(), tokenizer.eos(), tokenizer.vocab_size()),
        (50_256, 50_256, 50_257)
    );
    assert_eq!(tokenizer.encode("Hello world").unwrap(), [15_496, 995]);
}

proptest! {
    #![proptest_config(crate::test_support::cases(300))]

    #[test]
    fn words_are_the_librarys(text in "[ -~\t\n\r\u{b}\u{c}\u{1c}\u{0}]{0,60}|[' a-zA-Z0-9\n]{0,40}|('(s|t|re|ve|m|ll|d|l|r|v)|[ a.]){0,20}|[ab \n1.\u{e9}\u{a0}\u{2028}\u{4f60}'s]{0,40}") {
        let mut words = Vec::new();
        for part in split::gpt2_parts(&text) {
            match part {
                split::Part::Word(word) => words.push(word.to_owned()),
                split::Part::Other(part) => words.extend(train::library_words(part).unwrap()),
            }
        }
        prop_assert_eq!(words, train::library_words(&text).unwrap());
    }

    #[test]
    fn llama_parts_give_the_librarys_ids(text in "[a-z \u{2581}\n.]{0,40}|\\PC{0,30}|( |the|The|\u{e9}|\u{4f60}|<s>|</s>|_|  ){0,20}") {
        use std::sync::OnceLock;
        static LLAMA: OnceLock<Option<TextTokenizer>> = OnceLock::new();
        let llama = LLAMA.get_or_init(|| real("llama-tokenizer/tokenizer.json").map(|path| TextTokenizer::read(&path).unwrap()));
        if let Some(llama) = llama {
            prop_assert!(llama.parts.is_some());
            let expected = llama.inner.encode_fast(text.as_str(), false).unwrap();
            prop_assert_eq!(llama.encode(&text).unwrap(), expected.get_ids());
        }
    }

    #[test]
    fn any_text_round_trips(text in "\\PC{0,40}|[ -~\n]{0,60}|(.|\n){0,30}") {
        use std::sync::OnceLock;
        static TOKENIZER: OnceLock<TextTokenizer> = OnceLock::new();
        let tokenizer = TOKENIZER.get_or_init(|| trained(300));
        let ids = tokenizer.encode(&text).unwrap();
        prop_assert_eq!(tokenizer.decode(&ids).unwrap(), text);
    }

    #[test]
    fn hostile_files_give_errors(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5), cut in any::<prop::sample::Index>()) {
        use std::sync::OnceLock;
        static GOOD: OnceLock<Vec<u8>> = OnceLock::new();
        let good = GOOD.get_or_init(|| {
            let rest = file(&[special(3, "<s>"), special(4, "</s>")].join(","), "");
            rest.replace("\"post_processor\":null", r#""post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}],"special_tokens":{"<s>":{"id":"<s>","ids":[3],"tokens":["<s>"]}}}"#)
                .replace("\"pre_tokenizer\":null", r#""pre_tokenizer":{"type":"Split","pattern":{"Regex":"(a+)+b|\\s"},"behavior":"Isolated","invert":false}"#)
                .into_bytes()
        });
        let mut bytes = good.clone();
        for (at, value) in &edits {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        }
        for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            if let Ok(tokenizer) = TextTokenizer::from_bytes(bytes, Path::new("hostile")) {
                let _ = tokenizer.encode("aab c</s>");
                let _ = tokenizer.decode(&[0, 1, 77, u32::MAX]);
            }
        }
    }
}

/// Prints speeds; run by hand, since times are unreliable on a busy machine.
#[test]
#[ignore = "measures speed"]
fn speed() {
    let Some(path) = real("pile-test-a/pile-test-a.jsonl.zst") else {
        return;
    };
    let context = crate::text::DataContext::default();
    let corpus = crate::spec::Corpus::Jsonl(crate::spec::Jsonl {
        path: path.into(),
        field: "text".to_owned(),
    });
    let mut texts = Vec::new();
    let wanted = crate::text::source::Wanted {
        slice: "train",
        range: 0..2500,
    };
    let start = std::time::Instant::now();
    crate::text::source::read_ranges(&corpus, &[wanted], None, &context, |_, document| {
        if let crate::text::source::Document::Text(text) = document {
            texts.push(text.clone());
        }
        Ok(())
    })
    .unwrap();
    let bytes: usize = texts.iter().map(String::len).sum();
    let said = |what: &str, start: std::time::Instant| {
        println!(
            "{what}: {:?} for {:.1} MB, {} texts",
            start.elapsed(),
            bytes as f64 / 1e6,
            texts.len()
        );
    };
    said("read", start);
    let start = std::time::Instant::now();
    let json = TextTokenizer::train_bpe(&texts, 2048).unwrap();
    said("train 2048", start);
    let ours = TextTokenizer::from_bytes(&json, Path::new("t")).unwrap();
    let start = std::time::Instant::now();
    ours.encode_all(&texts).unwrap();
    said("encode, own BPE", start);
    if let Some(path) = real("llama-tokenizer/tokenizer.json") {
        let start = std::time::Instant::now();
        let llama = TextTokenizer::read(&path).unwrap();
        said("open llama", start);
        let start = std::time::Instant::now();
        llama.encode_all(&texts).unwrap();
        said("encode, llama", start);
    }
}

#[test]
fn learning_and_encoding_end_early_when_they_are_asked_to() {
    let flag = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stop = Stop::when(std::sync::Arc::clone(&flag));
    // Counted in pieces.
    let mut words = super::train::WordCounts::default();
    for texts in [&TEXTS[..1], &TEXTS[1..]] {
        words.add(texts, &stop).unwrap();
    }
    let bytes = TextTokenizer::train_bpe_unless(&stop, words.clone(), 280).unwrap();
    assert_eq!(bytes, TextTokenizer::train_bpe(&TEXTS, 280).unwrap());
    let tokenizer = TextTokenizer::from_bytes(&bytes, Path::new("t")).unwrap();
    assert!(tokenizer.encode_all_unless(&stop, &TEXTS).is_ok());
    flag.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(matches!(
        words.clone().add(&TEXTS, &stop),
        Err(DataError::Stopped)
    ));
    let learnt = TextTokenizer::train_bpe_unless(&stop, words, 280);
    assert!(matches!(learnt, Err(DataError::Stopped)));
    let encoded = tokenizer.encode_all_unless(&stop, &TEXTS);
    assert!(matches!(encoded, Err(DataError::Stopped)));
}

/// A tokenizer file with these special tokens, and entries that look like others.
fn with_special(tokens: &[(u32, &str)]) -> String {
    let listed: Vec<String> = tokens.iter().map(|(id, name)| special(*id, name)).collect();
    file(&listed.join(","), "")
}

#[test]
fn special_tokens_win_and_names_of_the_spec_decide() {
    let ends = |text: &str, named: &Head| {
        let bytes = named.write_into(text.as_bytes().to_vec());
        TextTokenizer::from_bytes(&bytes, Path::new("t.json"))
            .map(|tokenizer| (tokenizer.bos(), tokenizer.eos()))
            .map_err(|error| error.to_string())
    };
    let none = Head::default();
    // `<s>` and `</s>` are ordinary entries of the file: HTML tags.
    assert_eq!(
        ends(&with_special(&[(5, "<bos>"), (6, "<eos>")]), &none),
        Ok((5, 6))
    );
    assert_eq!(
        ends(&with_special(&[(5, "[CLS]"), (6, "[SEP]")]), &none),
        Ok((5, 6))
    );
    assert_eq!(
        ends(&with_special(&[(5, "<pad>"), (6, "<eos>")]), &none),
        Ok((6, 6))
    );
    let strange = with_special(&[(5, "<A>"), (6, "<B>")]);
    assert_snapshot!(ends(&strange, &none).unwrap_err(), @r#"tokenizer `t.json`: no token is known to begin or end a text: its special tokens are `<A>`, `<B>`; name them in the spec, as in `tokenizer: {file: {path: …, bos: "[START]", eos: "[END]"}}`"#);
    let name = |name: &str| Some(name.to_owned());
    let both = Head {
        bos: name("<A>"),
        eos: name("<B>"),
        ..Head::default()
    };
    assert_eq!(ends(&strange, &both), Ok((5, 6)));
    let eos = Head {
        eos: name("</s>"),
        ..Head::default()
    };
    assert_eq!(ends(&strange, &eos), Ok((4, 4)));
    let wrong = Head {
        pad: name("<pad>"),
        ..both.clone()
    };
    assert_snapshot!(ends(&strange, &wrong).unwrap_err(), @"tokenizer `t.json`: it has no token `<pad>`, which `data.tokenizer` names as `pad`");
    // Names are part of the stored file and its digest.
    let bytes = both.write_into(strange.clone().into_bytes());
    let kept = TextTokenizer::from_bytes(&bytes, Path::new("kept")).unwrap();
    let plain = Sha256Hex::of(strange.as_bytes());
    assert_eq!((kept.json(), kept.sha256() == plain), (&bytes[..], false));
    assert_eq!(
        none.write_into(strange.clone().into_bytes()),
        strange.as_bytes()
    );
}

#[test]
fn characters_that_do_not_come_back_are_told() {
    let tokenizer = parse(&with_special(&[(5, "<|endoftext|>")])).unwrap();
    assert!(!tokenizer.is_lossless());
    let mut fidelity = Fidelity::default();
    for text in ["abc", "aä\nb", "ÄÄ x"] {
        let ids = tokenizer.encode(text).unwrap();
        fidelity.add(text, tokenizer.lost(text, &ids).unwrap());
    }
    assert_snapshot!(fidelity.note("train").unwrap(), @"the tokenizer loses 6 of 11 characters in the first 3 train documents: `Ä`, line ends, spaces, `x`, `ä`; losses and perplexities are of the rest, and bits per byte are left out");
    let whole = tokenizer.encode("cab").unwrap();
    assert_eq!(tokenizer.lost("cab", &whole).unwrap(), None);
    assert_eq!(Fidelity::default().note("train"), None);
}
