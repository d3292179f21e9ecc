//! Round trips: an export is read back as the same model, whatever other files are beside it.

use super::*;
use crate::choices::{Arch, Init};
use crate::data::TokenizerHead;
use crate::fsx::RealFs;
use crate::rng::{Purpose, Stream};

fn tokenizer() -> TextTokenizer {
    let texts = [
        "the cat sat on the mat, the cat sat",
        "a dog and the cat on a mat",
    ];
    let json = TextTokenizer::train_bpe(&texts, 300).unwrap();
    TextTokenizer::from_bytes(&json, Path::new("t.json")).unwrap()
}

fn model(arch: Arch, change: impl FnOnce(&mut ModelConfig)) -> (ModelConfig, Weights) {
    let mut model = ModelConfig {
        arch,
        dim: 24,
        n_layers: 2,
        n_heads: 4,
        n_kv_heads: 4,
        hidden_dim: 40,
        max_seq_len: 32,
        vocab_size: 320,
        norm_eps: 1e-5,
        rope_theta: if arch == Arch::Llama { 10_000.0 } else { 0.0 },
        biases: false,
        tied_output: false,
        dropout: 0.0,
        init: match arch {
            Arch::Llama => Init::XavierNormal,
            Arch::Gpt2 => Init::Gpt2,
        },
    };
    change(&mut model);
    let mut number = 0;
    let weights = assembled(&model, |_, shape| {
        number += 1;
        let draws = Stream::new(7, Purpose::Init, number);
        let count: usize = shape.iter().product();
        Ok((0..count as u64)
            .map(|index| draws.uniform(index) as f32 - 0.5)
            .collect())
    });
    (model, weights.unwrap())
}

/// Exports to a new folder; returns the folder and the notes.
fn export(
    format: &str,
    model: &ModelConfig,
    weights: &Weights,
    tokenizer: &TextTokenizer,
) -> Result<(tempfile::TempDir, Vec<String>), InteropError> {
    let folder = tempfile::tempdir().unwrap();
    let card = Card {
        title: "spec/run".to_owned(),
        ..Card::default()
    };
    let portable = Portable {
        model,
        weights,
        tokenizer,
        card: &card,
    };
    let format = FORMATS.iter().find(|known| known.name() == format).unwrap();
    let names = format.files(&portable);
    let fs = RealFs::without_sync();
    let mut out = Folder::begin(&fs, folder.path(), format.name(), "id", &names)?;
    let notes = format.write(&portable, &mut out)?;
    out.finish(&names)?;
    Ok((folder, notes))
}

#[test]
fn hugging_face_folders_come_back_as_the_same_model() {
    let tokenizer = tokenizer();
    let cases = [
        model(Arch::Llama, |_| {}),
        model(Arch::Llama, |model| {
            (model.n_kv_heads, model.tied_output) = (2, true)
        }),
        model(Arch::Llama, |model| {
            (model.n_kv_heads, model.rope_theta) = (1, 500_000.0)
        }),
        model(Arch::Gpt2, |model| model.tied_output = true),
        model(Arch::Gpt2, |model| {
            (model.biases, model.norm_eps) = (true, 1e-6)
        }),
    ];
    for (model, weights) in cases {
        let (folder, _) = export("hf", &model, &weights, &tokenizer).unwrap();
        let back = read(folder.path(), None).unwrap();
        assert_eq!(back.model, model);
        assert_eq!(back.weights, weights);
        let text = "the cat and the mat";
        assert_eq!(
            back.tokenizer.encode(text).unwrap(),
            tokenizer.encode(text).unwrap()
        );
        assert_eq!(
            [back.tokenizer.bos(), back.tokenizer.eos()],
            [tokenizer.bos(), tokenizer.eos()]
        );
    }
}

#[test]
fn llama2c_checkpoints_come_back_as_the_same_model() {
    // A tokenizer in llama2.c's order, so that no ids are swapped.
    let mut bytes = 9u32.to_le_bytes().to_vec();
    let named = [
        "<unk>".to_owned(),
        "\n<s>\n".to_owned(),
        "\n</s>\n".to_owned(),
    ];
    let pieces = named
        .into_iter()
        .chain((0..256).map(|byte| format!("<0x{byte:02X}>")));
    for piece in pieces.chain([" a".to_owned(), "b".to_owned(), " ".to_owned()]) {
        bytes.extend(0.0f32.to_le_bytes());
        bytes.extend((piece.len() as u32).to_le_bytes());
        bytes.extend(piece.as_bytes());
    }
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("tokenizer.bin");
    std::fs::write(&file, &bytes).unwrap();
    let tokenizer = TextTokenizer::open_any(&file, &TokenizerHead::default()).unwrap();
    for tied in [true, false] {
        let (model, weights) = model(Arch::Llama, |model| {
            (model.n_kv_heads, model.tied_output, model.vocab_size) = (2, tied, 262);
        });
        let (folder, notes) = export("llama2c", &model, &weights, &tokenizer).unwrap();
        assert_eq!(notes, [""; 0]);
        let back = read(&folder.path().join("model.bin"), None).unwrap();
        assert_eq!((back.model, back.weights), (model, weights));
        assert_eq!(back.tokenizer.sha256(), tokenizer.sha256());
    }
}

#[test]
fn llama2c_begins_texts_with_id_1_so_the_first_token_moves_there() {
    let tokenizer = tokenizer();
    assert_eq!(tokenizer.bos(), 0);
    let (model, weights) = model(Arch::Llama, |model| model.tied_output = true);
    let (folder, notes) = export("llama2c", &model, &weights, &tokenizer).unwrap();
    assert!(notes[0].contains("ids 0 and 1 were swapped"), "{notes:?}");
    let bytes = std::fs::read(folder.path().join("model.bin")).unwrap();
    let (_, back) = llama2c::read(&bytes).unwrap();
    let row = |weights: &Weights, id: usize| weights.0[0].data[id * 24..][..24].to_vec();
    assert_eq!(row(&back, 1), row(&weights, 0));
    assert_eq!(row(&back, 0), row(&weights, 1));
    assert_eq!(row(&back, 2), row(&weights, 2));
    let tokens = std::fs::read(folder.path().join("tokenizer.bin")).unwrap();
    // Length of the longest token, then score, length and bytes of id 0, which is now the byte 0.
    assert_eq!(&tokens[12..18], b"<0x00>");
}

#[test]
fn what_a_format_cannot_hold_is_refused() {
    let tokenizer = tokenizer();
    let cases = [
        model(Arch::Gpt2, |_| {}),
        model(Arch::Llama, |model| model.norm_eps = 1e-6),
    ];
    for (model, weights) in cases {
        let error = export("llama2c", &model, &weights, &tokenizer).unwrap_err();
        assert!(matches!(error, InteropError::Refused { .. }), "{error}");
    }
}

#[test]
fn only_what_an_export_made_is_replaced() {
    let (fs, folder) = (RealFs::without_sync(), tempfile::tempdir().unwrap());
    let begin = |files: &[&str]| Folder::begin(&fs, folder.path(), "hf", "id", files);
    let write = |files: &[&str], text: &str| {
        let mut out = begin(files).unwrap();
        files
            .iter()
            .for_each(|name| out.put_bytes(name, text.as_bytes()).unwrap());
        out.finish(files).unwrap();
    };
    let there = |name: &str| std::fs::read_to_string(folder.path().join(name)).ok();
    write(&["a", "b", "c"], "1");
    std::fs::write(folder.path().join("mine"), "mine").unwrap();
    std::fs::write(folder.path().join("c"), "changed").unwrap();
    write(&["a"], "2");
    assert_eq!(there("a").as_deref(), Some("2"));
    assert_eq!(there("b"), None, "no longer made");
    assert_eq!(there("c").as_deref(), Some("changed"));
    assert!(matches!(
        begin(&["mine"]),
        Err(InteropError::Foreign { .. })
    ));
    assert_eq!(there("mine").as_deref(), Some("mine"));
    // An edited file is kept under another name.
    for (text, name) in [("my card", "a.changed"), ("2!", "a.changed-2")] {
        std::fs::write(folder.path().join("a"), text).unwrap();
        write(&["a"], "2");
        assert_eq!(there("a").as_deref(), Some("2"));
        assert_eq!(there(name).as_deref(), Some(text));
    }
    write(&["a"], "2");
    assert_eq!(there("a.changed-3"), None);
    std::fs::remove_file(folder.path().join("specbook.json")).unwrap();
    assert!(matches!(begin(&["a"]), Err(InteropError::Foreign { .. })));
    assert_eq!(there("a").as_deref(), Some("2"));
}

#[test]
fn an_export_that_was_killed_is_written_again() {
    let (fs, folder) = (RealFs::without_sync(), tempfile::tempdir().unwrap());
    let begin = || Folder::begin(&fs, folder.path(), "hf", "id", &["a", "b"]).unwrap();
    begin().put_bytes("a", b"half").unwrap();
    let mut out = begin();
    out.put_bytes("a", b"whole").unwrap();
    out.put_bytes("b", b"whole").unwrap();
    out.finish(&["a", "b"]).unwrap();
    assert_eq!(std::fs::read(folder.path().join("a")).unwrap(), b"whole");
}

#[test]
fn shards_are_read_and_hostile_folders_refused() {
    let (model, weights) = model(Arch::Llama, |_| {});
    let (folder, _) = export("hf", &model, &weights, &tokenizer()).unwrap();
    let path = |name: &str| folder.path().join(name);
    let whole = std::fs::read(path("model.safetensors")).unwrap();
    let tensors = crate::weights::file::read_any(&whole).unwrap().weights.0;
    std::fs::remove_file(path("model.safetensors")).unwrap();
    let mut map = serde_json::Map::new();
    for (number, part) in tensors.chunks(7).enumerate() {
        let name = format!("model-{number}.safetensors");
        let refs: Vec<_> = part
            .iter()
            .map(|tensor| crate::weights::file::TensorRef::of("", tensor))
            .collect();
        let mut bytes = Vec::new();
        crate::weights::file::write_noted(&[("format", "pt")], &refs, &mut bytes).unwrap();
        std::fs::write(path(&name), bytes).unwrap();
        map.extend(
            part.iter()
                .map(|tensor| (tensor.name.clone(), name.clone().into())),
        );
    }
    let index = |map: &serde_json::Map<String, serde_json::Value>| {
        let index = serde_json::json!({"weight_map": map}).to_string();
        std::fs::write(path("model.safetensors.index.json"), index).unwrap();
    };
    index(&map);
    assert_eq!(read(folder.path(), None).unwrap().weights, weights);
    let message = || read(folder.path(), None).unwrap_err().to_string();
    let mut outside = map.clone();
    outside.insert("lm_head.weight".to_owned(), "../x.safetensors".into());
    index(&outside);
    assert!(
        message().contains("names the file `../x.safetensors`"),
        "{}",
        message()
    );
    let mut short = map.clone();
    short.retain(|_, file| file != "model-0.safetensors");
    index(&short);
    assert!(message().contains("is missing"), "{}", message());
    index(&map);
    let config = std::fs::read_to_string(path("config.json")).unwrap();
    for (from, to, says) in [
        ("\"silu\"", "\"gelu\"", "hidden_act"),
        (
            "\"rope_scaling\": null",
            "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2.0}",
            "rope_scaling",
        ),
        (
            "\"model_type\": \"llama\"",
            "\"model_type\": \"mamba\"",
            "model_type",
        ),
        (
            "\"intermediate_size\": 40",
            "\"intermediate_size\": 44",
            "shape",
        ),
        ("\"hidden_size\": 24", "\"hidden_size\": -1", "not a size"),
    ] {
        std::fs::write(path("config.json"), config.replace(from, to)).unwrap();
        assert!(message().contains(says), "{says}: {}", message());
    }
}

/// Sparse files, much longer than the memory is large: anything beyond the possible size of such a model is not
/// read.
#[test]
fn no_more_is_read_than_such_a_model_has() {
    let dir = tempfile::tempdir().unwrap();
    let sparse = |name: &str, head: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, head).unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_len(40 << 30).unwrap();
        path
    };
    let mut head: Vec<u8> = Vec::new();
    for size in [8, 16, 1, 2, 2, 10, 16_i32] {
        head.extend(size.to_le_bytes());
    }
    for (name, head, what) in [
        (
            "model.bin",
            &head[..],
            "the number of values does not match",
        ),
        ("zeros.bin", b"", "a size of the header is out of range"),
        ("m.gguf", b"GGUF", "a size of the header is out of range"),
    ] {
        let error = read(&sparse(name, head), None).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
    let (model, weights) = model(Arch::Llama, |_| {});
    let (folder, _) = export("hf", &model, &weights, &tokenizer()).unwrap();
    let weights = sparse("model.safetensors", b"");
    std::fs::rename(weights, folder.path().join("model.safetensors")).unwrap();
    let error = read(folder.path(), None).unwrap_err().to_string();
    assert!(error.contains("larger than the limit"), "{error}");
}

#[test]
fn pickles_are_never_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(
        path("config.json"),
        r#"{"model_type": "gpt2", "n_embd": 8, "n_head": 2, "n_layer": 1, "vocab_size": 9}"#,
    )
    .unwrap();
    for name in ["pytorch_model.bin", "model.pt", "weights.bin"] {
        std::fs::write(path(name), b"PK\x03\x04pickle").unwrap();
    }
    for target in [
        folder.path().to_owned(),
        path("model.pt"),
        path("weights.bin"),
    ] {
        let error = read(&target, None).unwrap_err();
        assert!(error.to_string().contains("pickle"), "{error}");
        assert!(error.advice().unwrap().contains("weights_only=True"));
    }
}

/// The tensors of a GGUF file, by name, as f32: what llama.cpp would read.
fn read_gguf(bytes: &[u8]) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    struct Reader<'a>(&'a [u8], usize);
    impl Reader<'_> {
        fn take<const N: usize>(&mut self) -> [u8; N] {
            self.1 += N;
            self.0[self.1 - N..self.1].try_into().unwrap()
        }
        fn u32(&mut self) -> u32 {
            u32::from_le_bytes(self.take())
        }
        fn u64(&mut self) -> usize {
            u64::from_le_bytes(self.take()) as usize
        }
        fn text(&mut self) -> String {
            let length = self.u64();
            self.1 += length;
            String::from_utf8(self.0[self.1 - length..self.1].to_vec()).unwrap()
        }
        fn skip(&mut self, kind: u32) {
            match kind {
                7 => drop(self.take::<1>()),
                4..=6 => drop(self.take::<4>()),
                8 => drop(self.text()),
                9 => {
                    let (kind, count) = (self.u32(), self.u64());
                    (0..count).for_each(|_| self.skip(kind));
                }
                other => panic!("kind {other}"),
            }
        }
    }
    let mut head = Reader(bytes, 0);
    assert_eq!((&head.take(), head.u32()), (b"GGUF", 3));
    let (tensors, settings) = (head.u64(), head.u64());
    for _ in 0..settings {
        head.text();
        let kind = head.u32();
        head.skip(kind);
    }
    let infos: Vec<_> = (0..tensors)
        .map(|_| {
            let (name, count) = (head.text(), head.u32());
            let mut shape: Vec<usize> = (0..count).map(|_| head.u64()).collect();
            shape.reverse();
            (name, shape, head.u32(), head.u64())
        })
        .collect();
    let start = head.1.next_multiple_of(32);
    let f16 = |bytes: &[u8]| crate::weights::half::widen(u16::from_le_bytes([bytes[0], bytes[1]]));
    let values = |kind: u32, bytes: &[u8], count: usize| -> Vec<f32> {
        match kind {
            0 => bytes
                .chunks(4)
                .take(count)
                .map(|word| f32::from_le_bytes(word.try_into().unwrap()))
                .collect(),
            1 => bytes.chunks(2).take(count).map(f16).collect(),
            8 => bytes
                .chunks(34)
                .take(count / 32)
                .flat_map(|block| {
                    block[2..]
                        .iter()
                        .map(|byte| f16(block) * f32::from(*byte as i8))
                        .collect::<Vec<_>>()
                })
                .collect(),
            other => panic!("type {other}"),
        }
    };
    infos
        .into_iter()
        .map(|(name, shape, kind, place)| {
            let count = shape.iter().product();
            (name, (shape, values(kind, &bytes[start + place..], count)))
        })
        .collect()
}

#[test]
fn gguf_files_hold_the_weights_as_they_are_or_as_they_are_told_to_be_rounded() {
    let tokenizer = tokenizer();
    let (model, weights) = model(Arch::Llama, |model| {
        (model.dim, model.hidden_dim, model.n_kv_heads) = (64, 96, 2);
    });
    for (format, bound) in [("gguf", 0.0), ("gguf-f16", 2.5e-4), ("gguf-q8_0", 2.5e-3)] {
        let (folder, _) = export(format, &model, &weights, &tokenizer).unwrap();
        let read = read_gguf(&std::fs::read(folder.path().join("model.gguf")).unwrap());
        assert_eq!(read.len(), weights.0.len());
        let known = FORMATS.iter().find(|known| known.name() == format).unwrap();
        let rounded = known.rounded(&weights).unwrap_or_else(|| weights.clone());
        for (name, ours) in [
            ("token_embd.weight", "model.embed_tokens.weight"),
            (
                "blk.1.attn_k.weight",
                "model.layers.1.self_attn.k_proj.weight",
            ),
            (
                "blk.0.ffn_down.weight",
                "model.layers.0.mlp.down_proj.weight",
            ),
            ("output_norm.weight", "model.norm.weight"),
            ("output.weight", "lm_head.weight"),
        ] {
            let of = |weights: &Weights| {
                weights
                    .0
                    .iter()
                    .find(|tensor| tensor.name == ours)
                    .unwrap()
                    .clone()
            };
            let (shape, values) = &read[name];
            assert_eq!(*shape, of(&weights).shape);
            assert_eq!(*values, of(&rounded).data, "{format} {name}");
            let largest = values
                .iter()
                .zip(&of(&weights).data)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(largest <= bound, "{format} {name}: {largest}");
        }
    }
    let (gpt2, weights) = self::model(Arch::Gpt2, |_| {});
    let error = export("gguf", &gpt2, &weights, &tokenizer).unwrap_err();
    assert!(error.to_string().contains("approximation"), "{error}");
}

#[test]
fn changed_folders_are_read_or_refused() {
    let tokenizer = tokenizer();
    let words = [
        "\"n_layer\":",
        "\"hidden_size\":",
        "\"rope_scaling\":{",
        "\"model_type\":\"gpt2\",",
        "-1",
        "1e99",
        "null",
        "\"BF16\"",
        "\"F16\"",
        "{",
        "}",
        "[",
        "]",
        ",",
    ];
    for arch in [Arch::Llama, Arch::Gpt2] {
        let (model, weights) = model(arch, |model| model.tied_output = arch == Arch::Gpt2);
        let (folder, _) = export("hf", &model, &weights, &tokenizer).unwrap();
        for (file, name) in [
            ("config.json", "hf-config"),
            ("model.safetensors", "hf-weights"),
        ] {
            let path = folder.path().join(file);
            let good = std::fs::read(&path).unwrap();
            crate::test_support::fuzz(name, std::slice::from_ref(&good), &words, 60, |bytes| {
                std::fs::write(&path, bytes).unwrap();
                let _ = read(folder.path(), None);
            });
            std::fs::write(&path, good).unwrap();
        }
    }
}
