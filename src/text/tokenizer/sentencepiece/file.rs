//! Converts a SentencePiece model to a `tokenizer.json`.

use super::{Algorithm, Data, Kind, SPACE};
use serde_json::{Value, json};
use std::collections::HashMap;

/// The `tokenizer.json` of a parsed model.
pub(super) fn of_data(data: &Data) -> Vec<u8> {
    let unknown = data
        .pieces
        .iter()
        .position(|(_, _, kind)| *kind == Kind::Unknown);
    let unknown_text = unknown.map(|id| data.pieces[id].0.clone());
    let added: Vec<Value> = (data.pieces.iter().enumerate())
        .filter(|(_, (_, _, kind))| matches!(kind, Kind::Unknown | Kind::Control | Kind::UserDefined))
        .map(|(id, (text, _, kind))| {
            json!({"id": id, "content": text, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": *kind != Kind::UserDefined})
        })
        .collect();
    let model = match data.algorithm {
        Algorithm::Unigram => json!({
            "type": "Unigram", "unk_id": unknown, "byte_fallback": data.byte_fallback,
            "vocab": data.pieces.iter().map(|(text, score, _)| json!([text, score])).collect::<Vec<_>>(),
        }),
        Algorithm::Bpe => json!({
            "type": "BPE", "dropout": null, "unk_token": unknown_text, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": data.byte_fallback,
            "ignore_merges": false, "vocab": vocabulary(data), "merges": merges(data),
        }),
    };
    let mut normalizers = Vec::new();
    if data.add_dummy_prefix {
        normalizers.push(json!({"type": "Prepend", "prepend": "\u{2581}"}));
    }
    normalizers.push(json!({"type": "Replace", "pattern": {"String": " "}, "content": "\u{2581}"}));
    let strip = u8::from(data.add_dummy_prefix);
    let json = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": null, "post_processor": null,
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "\u{2581}"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": strip, "stop": 0},
        ]},
        "model": model,
    });
    json.to_string().into_bytes()
}

/// The normalizer and decoder with which other programs reproduce [`super::normalize`] and
/// [`super::SentencePiece::decode`].
///
/// Uses `\\A` and `\\z`, since `^` and `$` match at lines in the library's Python build.
///
/// # Errors
/// A description of a normalization that the library lacks.
pub(in crate::text::tokenizer) fn portable(data: &Data) -> Result<[Value; 2], String> {
    if data.treat_whitespace_as_suffix {
        return Err("a SentencePiece model that puts spaces after words".to_owned());
    }
    let space = if data.escape_whitespaces { SPACE } else { ' ' };
    let replace = |pattern: &str, content: &str| json!({"type": "Replace", "pattern": {"Regex": pattern}, "content": content});
    let mut steps = Vec::new();
    if !data.rules.is_empty() {
        let bytes: Vec<u8> = super::normalize::hexadecimal(&data.rules)?;
        steps.push(
            json!({"type": "Precompiled", "precompiled_charsmap": base64::encode(bytes)}),
        );
    }
    if data.remove_extra_whitespaces {
        steps.extend([replace("\\A +", ""), replace(" {2,}", " ")]);
    }
    if data.add_dummy_prefix {
        steps.push(json!({"type": "Prepend", "prepend": space}));
    }
    if data.escape_whitespaces {
        steps.push(json!({"type": "Replace", "pattern": {"String": " "}, "content": SPACE}));
    }
    if data.remove_extra_whitespaces {
        steps.push(replace(&format!("{space}+\\z"), ""));
    }
    let strip = u8::from(data.add_dummy_prefix || data.remove_extra_whitespaces);
    let decoders = json!([
        {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
        {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": strip, "stop": 0},
    ]);
    Ok([
        json!({"type": "Sequence", "normalizers": steps}),
        json!({"type": "Sequence", "decoders": decoders}),
    ])
}

fn vocabulary(data: &Data) -> serde_json::Map<String, Value> {
    let pieces = data.pieces.iter().enumerate();
    pieces
        .map(|(id, (text, _, _))| (text.clone(), id.into()))
        .collect()
}

/// Pairs of pieces that form a piece, best first.
fn merges(data: &Data) -> Vec<[&str; 2]> {
    let normal = |kind: &Kind| matches!(kind, Kind::Normal | Kind::Unused | Kind::UserDefined);
    let pieces = data
        .pieces
        .iter()
        .enumerate()
        .filter(|(_, (_, _, kind))| normal(kind));
    let ids: HashMap<&str, usize> = pieces
        .clone()
        .map(|(id, (text, _, _))| (text.as_str(), id))
        .collect();
    let mut found: Vec<(f32, usize, usize, [&str; 2])> = Vec::new();
    for (_, (text, score, _)) in pieces {
        for (at, _) in text.char_indices().skip(1) {
            let (left, right) = text.split_at(at);
            if let (Some(a), Some(b)) = (ids.get(left), ids.get(right)) {
                found.push((*score, *a, *b, [left, right]));
            }
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    found.into_iter().map(|(_, _, _, pair)| pair).collect()
}
