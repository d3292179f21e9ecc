//! What a spec file may hold: written from the JSON Schema by the test `the_shape_is_that_of_the_schema`, so that no command
//! has to make the schema first. After a change of the types, `SPECBOOK_WRITE_SHAPE=1 cargo test the_shape_is` writes it again.

use super::schema::{Field, Shape, Variant};

const SOURCE: Shape = Shape::Record(&[
    Field { name: "study", required: true, shape: Shape::Text },
    Field { name: "section", required: false, shape: Shape::Text },
]);

const SETTINGS: Shape = Shape::Record(&[
    Field { name: "data", required: true, shape: DATA_SETTINGS },
    Field { name: "model", required: true, shape: MODEL_SETTINGS },
    Field { name: "train", required: true, shape: TRAIN_SETTINGS },
    Field { name: "eval", required: false, shape: EVAL_SETTINGS },
]);

const DATA_SETTINGS: Shape = Shape::Record(&[
    Field { name: "corpus", required: true, shape: CORPUS },
    Field { name: "tokenizer", required: true, shape: TOKENIZER },
    Field { name: "train", required: true, shape: SLICE },
    Field { name: "validation", required: true, shape: SLICE },
    Field { name: "test", required: false, shape: SLICE },
    Field { name: "sequence", required: false, shape: SEQUENCE },
    Field { name: "seq_len", required: false, shape: SEQ_LEN },
    Field { name: "target_shift", required: false, shape: Shape::Integer(18446744073709551615) },
]);

const CORPUS: Shape = Shape::Choice(&[
    Variant { name: "stories", shape: Some(EMBEDDED) },
    Variant { name: "documents", shape: Some(EMBEDDED) },
    Variant { name: "text", shape: Some(TEXT_FILE) },
    Variant { name: "folder", shape: Some(FOLDER) },
    Variant { name: "jsonl", shape: Some(JSONL) },
    Variant { name: "bin", shape: Some(BIN_FILE) },
]);

const EMBEDDED: Shape = Shape::Record(&[
    Field { name: "version", required: true, shape: Shape::Integer(4294967295) },
    Field { name: "seed", required: false, shape: Shape::Integer(18446744073709551615) },
]);

const TEXT_FILE: Shape = Shape::Record(&[
    Field { name: "path", required: true, shape: Shape::Text },
    Field { name: "separator", required: false, shape: Shape::Text },
]);

const FOLDER: Shape = Shape::Record(&[
    Field { name: "path", required: true, shape: Shape::Text },
    Field { name: "extension", required: false, shape: Shape::Nullable(&Shape::Text) },
]);

const JSONL: Shape = Shape::Record(&[
    Field { name: "path", required: true, shape: Shape::Text },
    Field { name: "field", required: false, shape: Shape::Text },
]);

const BIN_FILE: Shape = Shape::Record(&[
    Field { name: "path", required: true, shape: Shape::Text },
]);

const TOKENIZER: Shape = Shape::Choice(&[
    Variant { name: "train_bpe", shape: Some(TRAIN_BPE) },
    Variant { name: "file", shape: Some(Shape::Text) },
]);

const TRAIN_BPE: Shape = Shape::Record(&[
    Field { name: "vocab_size", required: true, shape: Shape::Integer(18446744073709551615) },
    Field { name: "documents", required: false, shape: Shape::Nullable(&Shape::Integer(18446744073709551615)) },
]);

const SLICE: Shape = Shape::Either(&[
    Shape::Integer(18446744073709551615),
    SLICE_MAP,
]);

const SLICE_MAP: Shape = Shape::Record(&[
    Field { name: "skip", required: false, shape: Shape::Nullable(&Shape::Integer(18446744073709551615)) },
    Field { name: "take", required: true, shape: Shape::Integer(18446744073709551615) },
    Field { name: "corpus", required: false, shape: Shape::Nullable(&CORPUS) },
]);

const SEQUENCE: Shape = Shape::Choice(&[
    Variant { name: "next_token", shape: None },
    Variant { name: "discard", shape: None },
    Variant { name: "impute_concat", shape: None },
    Variant { name: "pad_discard", shape: None },
    Variant { name: "pad_impute_concat", shape: None },
    Variant { name: "pad_impute_per_document", shape: None },
    Variant { name: "informed_as_run", shape: Some(TOLERANCE) },
    Variant { name: "informed_as_described", shape: Some(TOLERANCE) },
    Variant { name: "stream", shape: None },
]);

const TOLERANCE: Shape = Shape::Record(&[
    Field { name: "tol", required: true, shape: Shape::Integer(18446744073709551615) },
]);

const SEQ_LEN: Shape = Shape::Either(&[
    Shape::Integer(18446744073709551615),
    Shape::Choice(&[Variant { name: "max", shape: None }, Variant { name: "shortest", shape: None }]),
]);

const MODEL_SETTINGS: Shape = Shape::Record(&[
    Field { name: "arch", required: false, shape: ARCH },
    Field { name: "dim", required: true, shape: Shape::Integer(18446744073709551615) },
    Field { name: "n_layers", required: true, shape: Shape::Integer(18446744073709551615) },
    Field { name: "n_heads", required: true, shape: Shape::Integer(18446744073709551615) },
    Field { name: "n_kv_heads", required: false, shape: Shape::Nullable(&Shape::Integer(18446744073709551615)) },
    Field { name: "hidden_dim", required: false, shape: Shape::Nullable(&Shape::Integer(18446744073709551615)) },
    Field { name: "multiple_of", required: false, shape: Shape::Nullable(&Shape::Integer(18446744073709551615)) },
    Field { name: "max_seq_len", required: true, shape: Shape::Integer(18446744073709551615) },
    Field { name: "norm_eps", required: false, shape: Shape::Number },
    Field { name: "rope_theta", required: false, shape: Shape::Number },
    Field { name: "biases", required: false, shape: Shape::Bool },
    Field { name: "tied_output", required: false, shape: Shape::Nullable(&Shape::Bool) },
    Field { name: "dropout", required: false, shape: Shape::Number },
    Field { name: "init", required: false, shape: Shape::Nullable(&INIT) },
    Field { name: "pad_vocab_to_multiple", required: false, shape: Shape::Integer(18446744073709551615) },
    Field { name: "vocab_size", required: false, shape: Shape::Nullable(&Shape::Integer(18446744073709551615)) },
]);

const ARCH: Shape = Shape::Choice(&[
    Variant { name: "llama", shape: None },
    Variant { name: "gpt2", shape: None },
]);

const INIT: Shape = Shape::Choice(&[
    Variant { name: "xavier_normal", shape: None },
    Variant { name: "gpt2", shape: None },
]);

const TRAIN_SETTINGS: Shape = Shape::Record(&[
    Field { name: "batch_size", required: true, shape: Shape::Integer(18446744073709551615) },
    Field { name: "grad_accum_steps", required: false, shape: Shape::Integer(18446744073709551615) },
    Field { name: "epochs", required: false, shape: Shape::Nullable(&Shape::Integer(18446744073709551615)) },
    Field { name: "max_steps", required: false, shape: Shape::Nullable(&Shape::Integer(18446744073709551615)) },
    Field { name: "max_tokens", required: false, shape: Shape::Nullable(&Shape::Integer(18446744073709551615)) },
    Field { name: "max_batches", required: false, shape: Shape::Nullable(&Shape::Integer(18446744073709551615)) },
    Field { name: "shuffle", required: false, shape: Shape::Bool },
    Field { name: "last_batch", required: false, shape: LAST_BATCH },
    Field { name: "loss", required: false, shape: LOSS },
    Field { name: "reduction", required: false, shape: REDUCTION },
    Field { name: "ignore_index", required: false, shape: Shape::Nullable(&Shape::Integer(4294967295)) },
    Field { name: "optimizer", required: true, shape: OPTIMIZER },
    Field { name: "schedule", required: false, shape: SCHEDULE },
    Field { name: "grad_clip", required: false, shape: Shape::Nullable(&Shape::Number) },
    Field { name: "dtype", required: false, shape: DTYPE },
    Field { name: "validate", required: true, shape: VALIDATE },
    Field { name: "keep", required: false, shape: KEEP },
    Field { name: "seed", required: false, shape: Shape::Integer(18446744073709551615) },
]);

const LAST_BATCH: Shape = Shape::Choice(&[
    Variant { name: "keep", shape: None },
    Variant { name: "drop", shape: None },
]);

const LOSS: Shape = Shape::Choice(&[
    Variant { name: "cross_entropy", shape: None },
    Variant { name: "square", shape: Some(SQUARE_PARAMETERS) },
    Variant { name: "square_softmax", shape: Some(WEIGHTED) },
    Variant { name: "squentropy", shape: None },
    Variant { name: "squentropy_capstone", shape: Some(WEIGHTED) },
]);

const SQUARE_PARAMETERS: Shape = Shape::Record(&[
    Field { name: "k", required: false, shape: Shape::Number },
    Field { name: "m", required: false, shape: Shape::Number },
]);

const WEIGHTED: Shape = Shape::Record(&[
    Field { name: "w", required: true, shape: CLASS_WEIGHT },
]);

const CLASS_WEIGHT: Shape = Shape::Either(&[
    Shape::Number,
    Shape::Record(&[Field { name: "per_50304", required: true, shape: Shape::Number }]),
]);

const REDUCTION: Shape = Shape::Choice(&[
    Variant { name: "mean_classes", shape: None },
    Variant { name: "sum_classes", shape: None },
]);

const OPTIMIZER: Shape = Shape::Choice(&[
    Variant { name: "adamw", shape: Some(ADAMW) },
]);

const ADAMW: Shape = Shape::Record(&[
    Field { name: "learning_rate", required: true, shape: Shape::Number },
    Field { name: "betas", required: false, shape: Shape::List(&Shape::Number, Some(2)) },
    Field { name: "eps", required: false, shape: Shape::Number },
    Field { name: "weight_decay", required: false, shape: Shape::Number },
    Field { name: "decay", required: false, shape: DECAY },
]);

const DECAY: Shape = Shape::Choice(&[
    Variant { name: "all", shape: None },
    Variant { name: "matrices", shape: None },
]);

const SCHEDULE: Shape = Shape::Choice(&[
    Variant { name: "constant", shape: None },
    Variant { name: "cosine", shape: Some(COSINE) },
]);

const COSINE: Shape = Shape::Record(&[
    Field { name: "warmup_steps", required: false, shape: Shape::Integer(18446744073709551615) },
    Field { name: "decay_steps", required: true, shape: Shape::Integer(18446744073709551615) },
    Field { name: "min_lr", required: true, shape: Shape::Number },
    Field { name: "warmup_from", required: false, shape: WARMUP_FROM },
]);

const WARMUP_FROM: Shape = Shape::Choice(&[
    Variant { name: "zero", shape: None },
    Variant { name: "next", shape: None },
]);

const DTYPE: Shape = Shape::Choice(&[
    Variant { name: "f32", shape: None },
    Variant { name: "bf16", shape: None },
]);

const VALIDATE: Shape = Shape::Record(&[
    Field { name: "every", required: true, shape: EVERY },
]);

const EVERY: Shape = Shape::Choice(&[
    Variant { name: "epoch", shape: None },
    Variant { name: "step", shape: None },
    Variant { name: "steps", shape: Some(Shape::Integer(18446744073709551615)) },
    Variant { name: "tokens", shape: Some(Shape::Integer(18446744073709551615)) },
    Variant { name: "end", shape: None },
]);

const KEEP: Shape = Shape::Choice(&[
    Variant { name: "last", shape: None },
    Variant { name: "best", shape: None },
    Variant { name: "both", shape: None },
]);

const EVAL_SETTINGS: Shape = Shape::Record(&[
    Field { name: "perplexity", required: false, shape: Shape::Nullable(&PERPLEXITY_SETTINGS) },
    Field { name: "samples", required: false, shape: Shape::Nullable(&SAMPLE_SETTINGS) },
    Field { name: "random_windows", required: false, shape: Shape::Nullable(&RANDOM_WINDOWS) },
]);

const PERPLEXITY_SETTINGS: Shape = Shape::Record(&[
    Field { name: "documents", required: true, shape: Shape::Integer(18446744073709551615) },
    Field { name: "split", required: false, shape: SPLIT },
    Field { name: "calibrated", required: false, shape: Shape::Bool },
]);

const SPLIT: Shape = Shape::Choice(&[
    Variant { name: "validation", shape: None },
    Variant { name: "test", shape: None },
]);

const SAMPLE_SETTINGS: Shape = Shape::Record(&[
    Field { name: "prompts", required: true, shape: Shape::List(&Shape::Text, None) },
    Field { name: "max_new_tokens", required: true, shape: Shape::Integer(18446744073709551615) },
    Field { name: "temperature", required: false, shape: Shape::Number },
    Field { name: "top_k", required: false, shape: Shape::Nullable(&Shape::Integer(18446744073709551615)) },
    Field { name: "top_p", required: false, shape: Shape::Nullable(&Shape::Number) },
    Field { name: "seed", required: false, shape: Shape::Integer(18446744073709551615) },
    Field { name: "per_prompt", required: false, shape: Shape::Integer(18446744073709551615) },
]);

const RANDOM_WINDOWS: Shape = Shape::Record(&[
    Field { name: "batches", required: true, shape: Shape::Integer(18446744073709551615) },
    Field { name: "windows", required: true, shape: Shape::Integer(18446744073709551615) },
    Field { name: "tokens", required: true, shape: Shape::Integer(18446744073709551615) },
    Field { name: "seed", required: false, shape: Shape::Integer(18446744073709551615) },
]);

const CLAIM: Shape = Shape::Record(&[
    Field { name: "id", required: true, shape: Shape::Text },
    Field { name: "says", required: true, shape: Shape::Text },
    Field { name: "type", required: false, shape: Shape::Nullable(&CLAIM_TYPE) },
    Field { name: "where", required: false, shape: Shape::Text },
    Field { name: "published", required: false, shape: Shape::Nullable(&PUBLISHED) },
    Field { name: "measure", required: false, shape: Shape::Nullable(&Shape::Text) },
    Field { name: "expect", required: false, shape: Shape::Nullable(&EXPECT) },
    Field { name: "needs", required: false, shape: NEEDS },
    Field { name: "inconsistent", required: false, shape: Shape::Nullable(&Shape::Text) },
    Field { name: "note", required: false, shape: Shape::Nullable(&Shape::Text) },
]);

const CLAIM_TYPE: Shape = Shape::Choice(&[
    Variant { name: "exact", shape: None },
    Variant { name: "order", shape: None },
    Variant { name: "trend", shape: None },
    Variant { name: "approximate", shape: None },
    Variant { name: "derived", shape: None },
    Variant { name: "qualitative", shape: None },
]);

const PUBLISHED: Shape = Shape::Record(&[
    Field { name: "value", required: true, shape: Shape::Text },
    Field { name: "mark", required: true, shape: MARK },
]);

const MARK: Shape = Shape::Choice(&[
    Variant { name: "printed", shape: None },
    Variant { name: "code", shape: None },
    Variant { name: "stored_output", shape: None },
    Variant { name: "derived", shape: None },
]);

const EXPECT: Shape = Shape::Choice(&[
    Variant { name: "above", shape: Some(Shape::Number) },
    Variant { name: "below", shape: Some(Shape::Number) },
    Variant { name: "within", shape: Some(Shape::List(&Shape::Number, Some(2))) },
    Variant { name: "equals", shape: Some(Shape::Number) },
]);

const NEEDS: Shape = Shape::Record(&[
    Field { name: "profiles", required: false, shape: Shape::List(&Shape::Text, None) },
    Field { name: "data", required: false, shape: Shape::Nullable(&Shape::Text) },
    Field { name: "reading", required: false, shape: Shape::Bool },
    Field { name: "timing", required: false, shape: Shape::Bool },
]);

const CELL: Shape = Shape::Choice(&[
    Variant { name: "text", shape: Some(Shape::Text) },
    Variant { name: "plot", shape: Some(PLOT_CELL) },
    Variant { name: "table", shape: Some(TABLE_CELL) },
    Variant { name: "histogram", shape: Some(HISTOGRAM_CELL) },
    Variant { name: "samples", shape: Some(SAMPLES_CELL) },
    Variant { name: "perplexity", shape: Some(PERPLEXITY_CELL) },
    Variant { name: "claims", shape: Some(SELECTION) },
    Variant { name: "plan", shape: Some(SELECTION) },
]);

const PLOT_CELL: Shape = Shape::Record(&[
    Field { name: "curves", required: true, shape: Shape::List(&Shape::Text, None) },
    Field { name: "x", required: false, shape: PLOT_X },
    Field { name: "panels", required: false, shape: Shape::Nullable(&Shape::Text) },
    Field { name: "colours", required: false, shape: Shape::Nullable(&Shape::Text) },
    Field { name: "filter", required: false, shape: Shape::Map(&Shape::Any) },
    Field { name: "log", required: false, shape: Shape::List(&PLOT_AXIS, None) },
    Field { name: "smooth", required: false, shape: Shape::Nullable(&Shape::Integer(18446744073709551615)) },
    Field { name: "y_range", required: false, shape: Shape::Nullable(&Shape::List(&Shape::Number, Some(2))) },
    Field { name: "published", required: false, shape: Shape::List(&PUBLISHED_CURVE, None) },
    Field { name: "caption", required: false, shape: Shape::Nullable(&Shape::Text) },
]);

const PLOT_X: Shape = Shape::Choice(&[
    Variant { name: "step", shape: None },
    Variant { name: "epoch", shape: None },
    Variant { name: "tokens", shape: None },
]);

const PLOT_AXIS: Shape = Shape::Choice(&[
    Variant { name: "x", shape: None },
    Variant { name: "y", shape: None },
]);

const PUBLISHED_CURVE: Shape = Shape::Record(&[
    Field { name: "label", required: true, shape: Shape::Text },
    Field { name: "panel", required: false, shape: Shape::Nullable(&Shape::Text) },
    Field { name: "points", required: true, shape: Shape::List(&Shape::List(&Shape::Number, Some(2)), None) },
    Field { name: "of_steps", required: false, shape: Shape::Nullable(&Shape::Integer(18446744073709551615)) },
]);

const TABLE_CELL: Shape = Shape::Record(&[
    Field { name: "rows", required: true, shape: Shape::Text },
    Field { name: "columns", required: true, shape: Shape::List(&Shape::Text, None) },
    Field { name: "pivot", required: false, shape: Shape::Nullable(&Shape::Text) },
    Field { name: "filter", required: false, shape: Shape::Map(&Shape::Any) },
    Field { name: "sort", required: false, shape: Shape::Nullable(&Shape::Text) },
    Field { name: "published", required: false, shape: Shape::Map(&Shape::Text) },
    Field { name: "caption", required: false, shape: Shape::Nullable(&Shape::Text) },
]);

const HISTOGRAM_CELL: Shape = Shape::Record(&[
    Field { name: "of", required: true, shape: HISTOGRAM_OF },
    Field { name: "first", required: false, shape: Shape::List(&Shape::Integer(18446744073709551615), None) },
    Field { name: "bins", required: false, shape: Shape::Integer(18446744073709551615) },
    Field { name: "log", required: false, shape: Shape::List(&PLOT_AXIS, None) },
    Field { name: "caption", required: false, shape: Shape::Nullable(&Shape::Text) },
]);

const HISTOGRAM_OF: Shape = Shape::Choice(&[
    Variant { name: "document_tokens", shape: None },
    Variant { name: "perplexity", shape: None },
]);

const SAMPLES_CELL: Shape = Shape::Record(&[
    Field { name: "runs", required: false, shape: SELECTION },
]);

const SELECTION: Shape = Shape::Either(&[
    Shape::Choice(&[Variant { name: "all", shape: None }]),
    Shape::List(&Shape::Text, None),
]);

const PERPLEXITY_CELL: Shape = Shape::Record(&[
    Field { name: "runs", required: false, shape: SELECTION },
]);

/// The whole spec file.
pub(crate) static FILE: Shape = Shape::Record(&[
    Field { name: "specbook", required: true, shape: Shape::Integer(18446744073709551615) },
    Field { name: "name", required: true, shape: Shape::Text },
    Field { name: "title", required: false, shape: Shape::Text },
    Field { name: "source", required: false, shape: SOURCE },
    Field { name: "summary", required: false, shape: Shape::Text },
    Field { name: "base", required: true, shape: SETTINGS },
    Field { name: "cases", required: false, shape: Shape::Map(&Shape::Map(&Shape::Any)) },
    Field { name: "vary", required: false, shape: Shape::Map(&Shape::List(&Shape::Any, None)) },
    Field { name: "seeds", required: false, shape: Shape::List(&Shape::Integer(18446744073709551615), None) },
    Field { name: "exclude", required: false, shape: Shape::List(&Shape::Map(&Shape::Any), None) },
    Field { name: "max_runs", required: false, shape: Shape::Nullable(&Shape::Integer(18446744073709551615)) },
    Field { name: "profiles", required: false, shape: Shape::Map(&Shape::Map(&Shape::Any)) },
    Field { name: "claims", required: false, shape: Shape::List(&CLAIM, None) },
    Field { name: "cells", required: false, shape: Shape::List(&CELL, None) },
]);
