//! Tokenizers made from files of other programs.

use super::super::head::Head;
use super::super::sentencepiece::{Algorithm, Data, Kind};
use super::*;
use std::fmt::Write as _;

/// Opens a tokenizer as written in a spec.
fn kind(text: &str, folder: &Path) -> TextTokenizer {
    let context = crate::text::DataContext {
        base: folder.to_owned(),
        ..crate::text::DataContext::default()
    };
    let settings: crate::spec::Tokenizer = crate::text::test_support::yaml(text);
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

/// A small SentencePiece model: BPE (2) or unigram (1), with a user-defined piece, and byte pieces if `bytes`
/// is set.
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
fn characters_are_tokens() {
    let kind: Tokenizer = crate::text::test_support::yaml("characters");
    let learn = |texts: &[&[&str]]| {
        let mut learning = kind.learns().unwrap().learn();
        for texts in texts {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            learning.add(&texts, Stop::never()).unwrap();
        }
        learning.finish(Stop::never()).unwrap()
    };
    let json = learn(&[&["hello\n", "h\u{e4}"]]);
    assert_eq!(json, learn(&[&["h\u{e4}"], &["\n", "hello"]]));
    let tokenizer = TextTokenizer::from_bytes(&json, Path::new("characters")).unwrap();
    assert_eq!(
        (tokenizer.bos(), tokenizer.eos(), tokenizer.vocab_size()),
        (0, 0, 8)
    );
    let ids = tokenizer.encode("hello\nh\u{e4}").unwrap();
    assert_eq!(ids, [4, 3, 5, 5, 6, 2, 4, 7]);
    assert_eq!(tokenizer.decode(&ids).unwrap(), "hello\nh\u{e4}");
    assert_eq!(tokenizer.lost("hello", &ids[..5]).unwrap(), None);
    // An unseen character is unknown and reported as lost.
    let ids = tokenizer.encode("hex").unwrap();
    assert_eq!(ids, [4, 3, 1]);
    assert!(tokenizer.lost("hex", &ids).unwrap().is_some());
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
        // The user-defined piece is always one piece; a character without a piece becomes its bytes.
        let ids = tokenizer.encode(" abb[x]ä").unwrap();
        assert_eq!(ids, [262, 260, 261, 259, 3 + 0xC3, 3 + 0xA4]);
        assert_eq!(tokenizer.decode(&ids).unwrap(), " abb[x]ä");
        assert_eq!(tokenizer.lost(" abb[x]ä", &ids).unwrap(), None);
        // The single stored file is the whole tokenizer.
        let again = TextTokenizer::from_bytes(tokenizer.json(), Path::new("kept")).unwrap();
        assert_eq!(again.encode(" abb[x]ä").unwrap(), ids);

        std::fs::write(folder.path().join("m.model"), model(algorithm, false)).unwrap();
        let tokenizer = kind("{sentencepiece: m.model}", folder.path());
        // Consecutive unknown characters are one piece and are lost.
        assert_eq!(tokenizer.encode("ayzc").unwrap(), [4, 0, 9]);
        assert!(tokenizer.lost("ayzc", &[4, 0, 9]).unwrap().is_some());
    }
}

/// Letters, spaces and bytes as pieces.
fn collapsing(algorithm: Algorithm) -> Data {
    let piece = |text: &str, score: f32, kind| (text.to_owned(), score, kind);
    let ends = [
        ("<unk>", Kind::Unknown),
        ("<s>", Kind::Control),
        ("</s>", Kind::Control),
    ];
    let ends = ends.map(|(text, kind)| piece(text, 0.0, kind));
    let bytes = (0..=255_u8).map(|byte| piece(&format!("<0x{byte:02X}>"), 0.0, Kind::Byte));
    let words = ["\u{2581}a", "ab", "\u{2581}", "a", "b", "\u{2581}\u{2581}"];
    let words = (0_u8..).zip(words);
    let words = words.map(|(n, text)| piece(text, -f32::from(n), Kind::Normal));
    Data {
        algorithm,
        pieces: ends.into_iter().chain(bytes).chain(words).collect(),
        byte_fallback: true,
        add_dummy_prefix: true,
        remove_extra_whitespaces: true,
        escape_whitespaces: true,
        treat_whitespace_as_suffix: false,
        rules: String::new(),
    }
}

fn of(data: Data) -> TextTokenizer {
    TextTokenizer::from_bytes(&data.into_json(Head::default()), Path::new("made")).unwrap()
}

#[test]
fn exported_tokenizers_say_where_they_differ() {
    let mut data = collapsing(Algorithm::Bpe);
    assert_eq!(of(data.clone()).portable_json().unwrap().1, None);
    data.pieces.push(("[x]".to_owned(), 0.0, Kind::UserDefined));
    let note = of(data.clone()).portable_json().unwrap().1.unwrap();
    assert_snapshot!(note, @"the exported `tokenizer.json` gives other ids on texts such as `a [x] b[x]`");
    data.treat_whitespace_as_suffix = true;
    let refused = of(data).portable_json().unwrap_err();
    assert_snapshot!(refused, @"a SentencePiece model that puts spaces after words");
}

proptest! {
    #[test]
    fn exported_tokenizers_collapse_spaces(text in "[ab \n\u{2581}]{0,24}|\\PC{0,12}", unigram: bool, prefix: bool, collapse: bool) {
        let algorithm = if unigram { Algorithm::Unigram } else { Algorithm::Bpe };
        let ours = of(Data { add_dummy_prefix: prefix, remove_extra_whitespaces: collapse, ..collapsing(algorithm) });
        let (json, _) = ours.portable_json().unwrap();
        let theirs = tokenizers::Tokenizer::from_bytes(json).unwrap();
        let ids = ours.encode(&text).unwrap();
        let found = theirs.encode_fast(&*text, false).unwrap();
        prop_assert_eq!(found.get_ids(), &ids[..]);
        prop_assert_eq!(theirs.decode(&ids, true).unwrap(), ours.decode(&ids).unwrap());
    }
}

#[test]
fn every_kind_of_file_can_have_its_tokens_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("m.model"), model(2, true)).unwrap();
    std::fs::write(folder.path().join("t.bin"), llama2c_file()).unwrap();
    for text in ["sentencepiece: {path: m.model", "llama2c: {path: t.bin"] {
        let named = kind(
            &format!("{{{text}, bos: </s>, eos: <s>, pad: <unk>}}}}"),
            folder.path(),
        );
        let usual = kind(&format!("{{{text}}}}}"), folder.path());
        assert_eq!(
            (named.bos(), named.eos()),
            (usual.eos(), usual.bos()),
            "{text}"
        );
        assert_eq!((named.pad(), usual.pad()), (Some(0), None), "{text}");
        assert_ne!(named.sha256(), usual.sha256(), "{text}");
    }
}

#[test]
fn damaged_models_are_refused() {
    let whole = model(2, true);
    for cut in (1..whole.len()).step_by(97) {
        // Any prefix is an error or a smaller model, never a panic.
        let _ = sentencepiece::parse(&whole[..cut]);
    }
    assert_snapshot!(sentencepiece::parse(b"once upon a time").unwrap_err(), @"not a usable SentencePiece model: it is damaged or another kind of file");
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
    for text in ["<unk>", "\n<s>\n", "\n</s>\n"] {
        entry(text, 0.0);
    }
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
        let settings = crate::text::test_support::yaml("{llama2c: t.bin}");
        let context = crate::text::DataContext {
            base: folder.path().to_owned(),
            ..crate::text::DataContext::default()
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
    // The file does not record that SentencePiece collapses repeated spaces; nor does llama2.c.
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
    // The same vocabulary as a rank file: GPT-2's ranks follow its merges, so they differ from its ids of
    // bytes.
    for text in TEXTS {
        assert_eq!(gpt2.encode(text).unwrap(), reference.encode(text).unwrap());
    }
    assert_eq!(
        (gpt2.bos(), gpt2.eos(), gpt2.vocab_size()),
        (50256, 50256, 50257)
    );
}

/// Ranks of all bytes and of a few words.
fn ranks() -> Vec<u8> {
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
    file.into_bytes()
}

#[test]
fn tiktoken_ranks_are_read() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("r.tiktoken"), ranks()).unwrap();
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
    assert_snapshot!(tiktoken::to_json(b"aGU= 1\nx", super::super::tiktoken::Pattern::Gpt2).unwrap_err(), @"line 2: expected a token in base64, of at most 1024 bytes, and its rank");
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

/// Uses a tokenizer read from a mutated file.
fn used(tokenizer: &TextTokenizer) {
    for text in [
        "",
        "aab c</s>",
        "h\u{e4}llo \u{1f600}  \n\u{fdfa}",
        &"a b".repeat(300),
    ] {
        if let Ok(ids) = tokenizer.encode(text) {
            let _ = tokenizer.decode(&ids);
        }
    }
    let _ = tokenizer.decode(&[0, 1, 77, u32::MAX]);
}

#[test]
fn changed_files_are_read_or_refused() {
    let vocabulary = r###""vocab":{"[UNK]":0,"<s>":1,"</s>":2,"a":3,"b":4,"##b":5,"ab":6}"###;
    let models = [
        r#"{"type":"BPE","dropout":null,"unk_token":"[UNK]","continuing_subword_prefix":null,"end_of_word_suffix":null,"fuse_unk":false,"byte_fallback":false,VOCAB,"merges":["a b"]}"#,
        r###"{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,VOCAB}"###,
        r#"{"type":"WordLevel","unk_token":"[UNK]",VOCAB}"#,
        r#"{"type":"Unigram","unk_id":0,"byte_fallback":false,"vocab":[["[UNK]",0.0],["<s>",-1.0],["</s>",-2.0],["a",-1.5],["ab",-3.0]]}"#,
    ];
    let parts = [
        r#""normalizer":{"type":"Sequence","normalizers":[{"type":"NFKC"},{"type":"Replace","pattern":{"String":" "},"content":"\u2581"},{"type":"Lowercase"},{"type":"StripAccents"},{"type":"Prepend","prepend":"\u2581"}]},"pre_tokenizer":{"type":"Split","pattern":{"Regex":"(a+)+b|\\s"},"behavior":"Isolated","invert":false},"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}],"special_tokens":{"<s>":{"id":"<s>","ids":[1],"tokens":["<s>"]}}},"decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"\u2581"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]}"#,
        r###""normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true},"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Metaspace","replacement":"\u2581","prepend_scheme":"always","split":true},{"type":"Digits","individual_digits":true},{"type":"Punctuation","behavior":"Isolated"}]},"post_processor":null,"decoder":{"type":"WordPiece","prefix":"##","cleanup":true}"###,
        r#""normalizer":null,"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true},"post_processor":null,"decoder":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}"#,
    ];
    let mut seeds = vec![trained(270).json().to_vec()];
    for model in models {
        let model = model.replace("VOCAB", vocabulary);
        for parts in parts {
            let added = [special(1, "<s>"), special(2, "</s>")].join(",");
            let text = format!(
                r#"{{"version":"1.0","truncation":null,"padding":null,"added_tokens":[{added}],{parts},"model":{model}}}"#
            );
            parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            seeds.push(text.into_bytes());
        }
    }
    let words = [
        r#"{"type":"Replace","pattern":{"String":"a"},"content":"aa"},"#,
        r#"{"type":"NFKD"},"#,
        r#"{"type":"Nmt"},"#,
        r#""Regex":"(.*)*$""#,
        "null",
        "true",
        r#"{"type":"Precompiled","precompiled_charsmap":"AAAA"},"#,
        r#""byte_fallback":true"#,
        "\\ud83d",
        "\"\"",
        r#"{"specbook":{"eos":"a"},"#,
        "[",
        "]",
        "{",
        "}",
    ];
    crate::test_support::fuzz("tokenizer-json", &seeds, &words, 400, |bytes| {
        if let Ok(tokenizer) = TextTokenizer::from_bytes(bytes, Path::new("hostile")) {
            used(&tokenizer);
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let open = |tokenizer: &str, files: &[(&str, &[u8])]| {
        for (name, bytes) in files {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        let context = crate::text::DataContext {
            base: folder.path().to_owned(),
            ..crate::text::DataContext::default()
        };
        let tokenizer = crate::text::test_support::yaml(tokenizer);
        if let Ok(Some(tokenizer)) = super::super::open(&tokenizer, &context) {
            used(&tokenizer);
        }
    };
    let seeds = [
        model(1, true),
        model(2, true),
        model(1, false),
        model(2, false),
    ];
    crate::test_support::fuzz(
        "sentencepiece",
        &seeds,
        &["\u{2581}", "<0x41>", "\u{0}"],
        400,
        |bytes| {
            open("{sentencepiece: m.model}", &[("m.model", bytes)]);
        },
    );
    let seeds = [ranks()];
    crate::test_support::fuzz(
        "tiktoken",
        &seeds,
        &["QUI= 256\n", "=", " ", "\n", "/"],
        60,
        |bytes| {
            open("{tiktoken: {path: r, pattern: gpt2}}", &[("r", bytes)]);
        },
    );
    // Vocabulary and merges, concatenated.
    let json: serde_json::Value = serde_json::from_slice(trained(270).json()).unwrap();
    let merges = json["model"]["merges"].as_array().unwrap().iter();
    let merges = merges.map(|pair| {
        format!(
            "{} {}\n",
            pair[0].as_str().unwrap(),
            pair[1].as_str().unwrap()
        )
    });
    let both = format!(
        "{}\n===\n#version: 0.2\n{}",
        json["model"]["vocab"],
        merges.collect::<String>()
    );
    crate::test_support::fuzz(
        "vocab-merges",
        &[both.into_bytes()],
        &["\n===\n", " ", "\u{120}", "\":"],
        100,
        |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let (vocabulary, merges) = text.split_once("\n===\n").unwrap_or((&text, ""));
            let files = [
                ("vocab.json", vocabulary.as_bytes()),
                ("merges.txt", merges.as_bytes()),
            ];
            open("{gpt2: .}", &files);
        },
    );
}

#[test]
fn normalizers_and_decoders_that_grow_are_bounded() {
    let with = |normalizers: usize, content: &str, decoders: usize| {
        let one =
            format!(r#"{{"type":"Replace","pattern":{{"String":"a"}},"content":"{content}"}}"#);
        let sequence = |kind: &str, count: usize| {
            format!(
                r#"{{"type":"Sequence","{kind}":[{}]}}"#,
                vec![&*one; count].join(",")
            )
        };
        let added = [special(3, "<s>"), special(4, "</s>")].join(",");
        let text = file(&added, "")
            .replace(
                r#""normalizer":null"#,
                &format!(r#""normalizer":{}"#, sequence("normalizers", normalizers)),
            )
            .replace(
                r#""decoder":null"#,
                &format!(r#""decoder":{}"#, sequence("decoders", decoders)),
            );
        parse(&text)
    };
    // Doubled thirty-four times: only a text with the letter grows.
    let doubling = with(34, "aa", 0).unwrap();
    assert_eq!(doubling.encode("bcb").unwrap(), [1, 2, 1]);
    assert_snapshot!(doubling.encode("bab").unwrap_err(), @"tokenizer: its normalizers or decoders make more than 64 bytes of one byte of a text");
    // As in real files: a space becomes three bytes.
    assert_eq!(
        with(1, "aaa", 0).unwrap().encode("ab").unwrap(),
        [0, 0, 0, 1]
    );
    let error = with(1, &"b".repeat(1000), 0).unwrap_err();
    assert!(error.contains("more than 64 bytes of one byte"), "{error}");
    let error = with(0, "aa", 7).unwrap_err();
    assert!(error.contains("more than 64 bytes of one byte"), "{error}");
    assert_eq!(with(0, "aa", 2).unwrap().decode(&[0]).unwrap(), "aaaa");
}
