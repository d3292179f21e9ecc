//! The names that nanoGPT, llama2.c, LitGPT and Hugging Face use for our settings. They are replaced in the tree before
//! anything is checked or hashed, so both spellings give the same run.

use super::error::{Problem, Problems};
use super::tree::{Key, Node, Value, join_path};
use serde_json::Number;

/// A section, an alias of a setting in it, and the setting's own path below the section.
type Alias = (
    &'static [&'static str],
    &'static str,
    &'static [&'static str],
);

const MODEL: &[&str] = &["model"];
const TRAIN: &[&str] = &["train"];
const ADAMW: &[&str] = &["train", "optimizer", "adamw"];
const COSINE: &[&str] = &["train", "schedule", "cosine"];

/// All aliases. `train.lr` and similar names point into the optimizer and the schedule, which nanoGPT's flat names do
/// not have.
const ALIASES: &[Alias] = &[
    (MODEL, "n_embd", &["dim"]),
    (MODEL, "hidden_size", &["dim"]),
    (MODEL, "d_model", &["dim"]),
    (MODEL, "n_layer", &["n_layers"]),
    (MODEL, "num_hidden_layers", &["n_layers"]),
    (MODEL, "num_layers", &["n_layers"]),
    (MODEL, "n_head", &["n_heads"]),
    (MODEL, "num_attention_heads", &["n_heads"]),
    (MODEL, "num_heads", &["n_heads"]),
    (MODEL, "n_query_groups", &["n_kv_heads"]),
    (MODEL, "num_key_value_heads", &["n_kv_heads"]),
    (MODEL, "intermediate_size", &["hidden_dim"]),
    (MODEL, "n_inner", &["hidden_dim"]),
    (MODEL, "block_size", &["max_seq_len"]),
    (MODEL, "n_positions", &["max_seq_len"]),
    (MODEL, "max_position_embeddings", &["max_seq_len"]),
    (MODEL, "rms_norm_eps", &["norm_eps"]),
    (MODEL, "layer_norm_epsilon", &["norm_eps"]),
    (MODEL, "bias", &["biases"]),
    (MODEL, "tie_word_embeddings", &["tied_output"]),
    (TRAIN, "micro_batch_size", &["batch_size"]),
    (TRAIN, "gradient_accumulation_steps", &["grad_accum_steps"]),
    (TRAIN, "num_epochs", &["epochs"]),
    (TRAIN, "num_train_epochs", &["epochs"]),
    (TRAIN, "max_iters", &["max_steps"]),
    (TRAIN, "train_tokens", &["max_tokens"]),
    (TRAIN, "max_grad_norm", &["grad_clip"]),
    (TRAIN, "lr", &["optimizer", "adamw", "learning_rate"]),
    (
        TRAIN,
        "learning_rate",
        &["optimizer", "adamw", "learning_rate"],
    ),
    (
        TRAIN,
        "weight_decay",
        &["optimizer", "adamw", "weight_decay"],
    ),
    (TRAIN, "betas", &["optimizer", "adamw", "betas"]),
    (
        TRAIN,
        "warmup_iters",
        &["schedule", "cosine", "warmup_steps"],
    ),
    (
        TRAIN,
        "lr_warmup_steps",
        &["schedule", "cosine", "warmup_steps"],
    ),
    (
        TRAIN,
        "warmup_steps",
        &["schedule", "cosine", "warmup_steps"],
    ),
    (
        TRAIN,
        "lr_decay_iters",
        &["schedule", "cosine", "decay_steps"],
    ),
    (TRAIN, "min_lr", &["schedule", "cosine", "min_lr"]),
    (ADAMW, "lr", &["learning_rate"]),
    (ADAMW, "adam_epsilon", &["eps"]),
    (COSINE, "warmup_iters", &["warmup_steps"]),
    (COSINE, "lr_warmup_steps", &["warmup_steps"]),
    (COSINE, "lr_decay_iters", &["decay_steps"]),
    (COSINE, "min_learning_rate", &["min_lr"]),
];

/// Aliases of losses, with the weight of the correct class.
const LOSSES: &[(&str, u64)] = &[("mse", 1), ("scaled_mse", 100)];

/// The settings that `name` is an alias of.
pub(crate) fn meant_by(name: &str) -> Vec<String> {
    let called = ALIASES.iter().filter(|(_, alias, _)| *alias == name);
    let own = called.map(|(section, _, own)| [*section, *own].concat().join("."));
    let mut own: Vec<String> = own.collect();
    own.dedup();
    own
}

/// Replaces aliases in a dot path into `base`.
pub(crate) fn canonical_path(path: &mut Vec<String>) {
    for (section, alias, own) in ALIASES {
        let depth = section.len();
        if path.len() > depth
            && path[depth] == *alias
            && path.iter().zip(*section).all(|(part, name)| part == name)
        {
            path.splice(depth..=depth, own.iter().map(|part| (*part).to_owned()));
            return;
        }
    }
}

/// Replaces aliases in `node`, found at `path` below `base`. Reports a setting given under two names with different
/// values.
pub(crate) fn canonicalize(node: &mut Node, path: &[String], problems: &mut Problems) {
    for (section, alias, own) in ALIASES {
        let starts = section.iter().zip(path).all(|(name, part)| name == part);
        if !starts || path.len() > section.len() {
            continue;
        }
        let Some(map) = descend(node, &section[path.len()..]) else {
            continue;
        };
        if let Some((key, value)) = map.take(alias) {
            move_to(map, key, value, section, own, problems);
        }
    }
    let loss = ["train", "loss"];
    if path.len() <= loss.len()
        && path.iter().zip(loss).all(|(part, name)| part == name)
        && let Some(node) = descend(node, &loss[path.len()..])
    {
        canonicalize_loss(node);
    }
}

fn descend<'a>(node: &'a mut Node, path: &[&str]) -> Option<&'a mut Node> {
    let Some((first, rest)) = path.split_first() else {
        return Some(node);
    };
    let Value::Map(entries) = &mut node.value else {
        return None;
    };
    let (_, child) = entries.iter_mut().find(|(key, _)| key.name == *first)?;
    descend(child, rest)
}

/// Moves `value`, written as `key`, to the path `own` below `map`.
fn move_to(
    map: &mut Node,
    key: Key,
    value: Node,
    section: &[&str],
    own: &[&str],
    problems: &mut Problems,
) {
    let Some((last, way)) = own.split_last() else {
        return;
    };
    let setting = join_path(&[section, own].concat());
    let node = match enter(map, way, &key) {
        Ok(node) => node,
        Err(found) => {
            let message = format!("`{}` stands for `{setting}`, but {found}", key.name);
            return problems.push(Problem::new(message).at(key.span));
        }
    };
    match node.entry(last) {
        Some((other, old)) if !old.same(&value) => {
            let message = format!("`{}` and another name of `{setting}` disagree", key.name);
            let (found, line) = (old.describe(), other.span.line);
            let problem = Problem::new(message).at(key.span);
            let problem = problem.note(format!("the other value is {found}, at line {line}"));
            problems.push(problem.hint(format!("keep `{last}` alone")));
        }
        Some(_) => {}
        None => {
            let name = (*last).to_owned();
            node.put(Key { name, ..key }, value);
        }
    }
}

/// The map at `way` below `node`, created if absent; otherwise the value that stands in the way.
fn enter<'a>(mut node: &'a mut Node, way: &[&str], key: &Key) -> Result<&'a mut Node, String> {
    for part in way {
        if node.get(part).is_none() {
            let name = (*part).to_owned();
            let empty = Node {
                value: Value::Map(Vec::new()),
                span: key.span,
            };
            let span = key.span;
            node.put(Key { name, span }, empty);
        }
        node = descend(node, &[part]).ok_or("there is no map")?;
        if !matches!(node.value, Value::Map(_)) {
            return Err(format!("`{part}` is {}", node.describe()));
        }
    }
    Ok(node)
}

/// `mse` stands for `{square: {k: 1, m: 1}}`, `scaled_mse` for `{square: {k: 100, m: 1}}`.
fn canonicalize_loss(node: &mut Node) {
    let span = node.span;
    let Some((_, weight)) = node
        .as_str()
        .and_then(|name| LOSSES.iter().find(|(alias, _)| *alias == name))
    else {
        return;
    };
    let number = |number: u64| Node {
        value: Value::Number(Number::from(number)),
        span,
    };
    let map = |entries: Vec<(&str, Node)>| Node {
        value: Value::Map(
            entries
                .into_iter()
                .map(|(name, node)| {
                    let name = name.to_owned();
                    (Key { name, span }, node)
                })
                .collect(),
        ),
        span,
    };
    let parameters = map(vec![("k", number(*weight)), ("m", number(1))]);
    *node = map(vec![("square", parameters)]);
}

/// The correct path of a setting written in the wrong section.
pub(crate) fn elsewhere(name: &str) -> Option<String> {
    let (section, _, own) = ALIASES
        .iter()
        .find(|(section, alias, own)| *alias == name || (section.len() == 1 && own == &[name]))?;
    let path = join_path(&[*section, *own].concat());
    Some(format!("it belongs to `{path}`"))
}
