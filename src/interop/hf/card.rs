//! The model card: finding, training settings and usage.

use crate::interop::Portable;
use std::fmt::Write as _;

/// Metrics shown on a card, if measured.
const SHOWN: [(&str, &str); 6] = [
    ("train_loss", "training loss, nats per token"),
    ("val_loss", "validation loss, nats per token"),
    ("nll", "held-out documents, nats per token"),
    ("perplexity", "held-out documents, perplexity"),
    ("bits_per_byte", "held-out documents, bits per byte"),
    ("accuracy", "held-out documents, next token right"),
];

/// `README.md`.
pub(super) fn text(model: &Portable<'_>) -> String {
    let (config, card) = (model.model, model.card);
    let mut text = String::from(
        "---\nlibrary_name: transformers\npipeline_tag: text-generation\ntags: [specbook]\n---\n\n",
    );
    let title = card.title.replace(['\n', '\r'], " ");
    let _ = writeln!(text, "# {title}\n");
    let heads = match config.n_kv_heads == config.n_heads {
        true => format!("{} heads", config.n_heads),
        false => format!(
            "{} heads ({} for keys and values)",
            config.n_heads, config.n_kv_heads
        ),
    };
    let _ = writeln!(
        text,
        "A {} model of {} parameters: {} blocks, width {}, {heads}, context {}, vocabulary {}. Trained by specbook as `{}`.\n",
        config.arch.name(),
        config.parameters(),
        config.n_layers,
        config.dim,
        config.max_seq_len,
        config.vocab_size,
        card.id
    );
    let measured = SHOWN
        .iter()
        .filter_map(|(name, words)| Some((words, card.metrics.get(*name)?)));
    let rows: String = measured.fold(String::new(), |rows, (words, value)| {
        format!("{rows}| {words} | {value:.4} |\n")
    });
    if !card.finding.is_empty() || !rows.is_empty() {
        text.push_str("## What was found\n\n");
    }
    if !card.finding.is_empty() {
        let _ = writeln!(text, "{}\n", card.finding.trim());
    }
    if !rows.is_empty() {
        let _ = writeln!(text, "| measure | value |\n|---|---|\n{rows}");
    }
    text.push_str(
        "## Use\n\n```python\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n\n\
         tokenizer = AutoTokenizer.from_pretrained(\".\")\nmodel = AutoModelForCausalLM.from_pretrained(\".\")\n\
         ids = tokenizer(\"Once upon a time\", return_tensors=\"pt\").input_ids\n\
         print(tokenizer.decode(model.generate(ids, max_new_tokens=64, do_sample=False)[0]))\n```\n\n",
    );
    if !card.settings.is_empty() {
        let _ = writeln!(
            text,
            "## Settings\n\n```yaml\n{}\n```",
            card.settings.trim_end()
        );
    }
    text
}
