//! The reference: the contents of a spec, the functions and names of expressions and reports, the
//! program's output formats. Generated from the types and lists that the program itself uses;
//! `specbook help` prints it, and `docs/reference` contains it as pages.

mod examples;
mod page;
mod shape;

pub(crate) use page::{page, terminal};

use crate::expr::{FILTERS, FUNCTIONS, Function};
use crate::record::{METRICS, MetricPoint};
use crate::text::source::Set;

/// A named entry.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub(crate) struct Entry {
    /// As written: a dot path, a metric, a function.
    pub(crate) name: String,
    /// Its allowed values or arguments, and its unit.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) takes: String,
    /// The default; `None` if it is required or has no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default: Option<String>,
    /// Its meaning, in a sentence or two.
    pub(crate) about: String,
    /// An example.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) example: Option<String>,
}

/// A page of the reference.
pub(crate) struct Topic {
    /// Its name in `specbook help`.
    pub(crate) name: &'static str,
    /// Heading of the page.
    pub(crate) title: &'static str,
    /// One or two sentences above its entries.
    pub(crate) about: &'static str,
    entries: fn() -> Vec<Entry>,
}

impl Topic {
    /// All its entries, in reading order.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        (self.entries)()
    }
}

pub(crate) const TOPICS: &[Topic] = &[
    Topic {
        name: "spec",
        title: "The spec file",
        about: "The keys of a spec. `base` holds the settings; everything else makes runs of them and a report of the runs.",
        entries: shape::keys_of_the_file,
    },
    Topic {
        name: "settings",
        title: "Settings",
        about: "The settings of a run, by their dot paths below `base`: as `cases`, `vary`, profiles and `--set` name them.",
        entries: shape::settings,
    },
    Topic {
        name: "cells",
        title: "Cells",
        about: "What a report is made of: the list `cells` of a spec, in reading order.",
        entries: || shape::below("Cell"),
    },
    Topic {
        name: "claims",
        title: "Claims",
        about: "Statements that a report decides: the list `claims` of a spec. `expect` is the condition on the value of \
                `measure`.",
        entries: || shape::below("Claim"),
    },
    Topic {
        name: "metrics",
        title: "Metrics",
        about: "Numbers of a finished run: in expressions (`run('a').val_loss`), as columns of tables, in `ls --sort`.",
        entries: metrics,
    },
    Topic {
        name: "series",
        title: "Series",
        about: "Curves of a run: in plots (`curves: [val/loss]`) and in expressions (`run('a').series('val/loss')`).",
        entries: series,
    },
    Topic {
        name: "functions",
        title: "Functions and filters",
        about: "What expressions can call, in the measures of claims and in the `{{ }}` of text cells. The examples read runs \
                with the axes `dim` and `n_layers`. Besides: `+ - * / // % **`, comparisons, `and`, `or`, `not`, \
                `a if condition else b`, lists, `list[0]`, `list[1:]`, `list | round(2)`.",
        entries: functions,
    },
    Topic {
        name: "exit-codes",
        title: "Exit codes",
        about: "What the program tells a script when it ends.",
        entries: exit_codes,
    },
    Topic {
        name: "datasets",
        title: "Public sets",
        about: "Texts by their names: `data.corpus: {dataset: NAME}`. `specbook data fetch` downloads them; a file that is here already is \
                found in the folders of SPECBOOK_DATA by its SHA-256.",
        entries: datasets,
    },
    Topic {
        name: "environment",
        title: "Environment variables",
        about: "What the program reads besides its arguments and files.",
        entries: environment,
    },
];

fn metrics() -> Vec<Entry> {
    let entry = |metric: &crate::record::Metric| Entry {
        name: metric.name.to_owned(),
        takes: metric.unit.to_owned(),
        about: format!(
            "{}{}",
            metric.about,
            match metric.lower_is_better {
                Some(true) => " Lower is better.",
                Some(false) => " Higher is better.",
                None => "",
            }
        ),
        ..Entry::default()
    };
    METRICS.iter().map(entry).collect()
}

fn series() -> Vec<Entry> {
    let entry = |name: &&str| Entry {
        name: (*name).to_owned(),
        about: MetricPoint::about(name).to_owned(),
        ..Entry::default()
    };
    MetricPoint::SERIES.iter().map(entry).collect()
}

fn functions() -> Vec<Entry> {
    let entry = |kind: &'static str| {
        move |function: &Function| Entry {
            name: function.name.to_owned(),
            takes: format!("{kind}{}", function.takes),
            about: function.about.to_owned(),
            example: Some(function.example.to_owned()),
            ..Entry::default()
        }
    };
    let functions = FUNCTIONS.iter().map(entry(""));
    functions
        .chain(FILTERS.iter().map(entry("filter; ")))
        .collect()
}

fn exit_codes() -> Vec<Entry> {
    let entry = |(code, about): &(u8, &str)| Entry {
        name: code.to_string(),
        about: (*about).to_owned(),
        ..Entry::default()
    };
    super::exit::EXIT_CODES.iter().map(entry).collect()
}

fn datasets() -> Vec<Entry> {
    let entry = |set: &Set| {
        let addresses = set.addresses.iter().map(|address| (*address).to_owned());
        let pins = set.pins.iter().map(|pin| pin.url.clone());
        let places: Vec<String> = addresses.chain(pins).collect();
        let more = match places.len() {
            1 => String::new(),
            several => format!(" and {} more", several - 1),
        };
        Entry {
            name: set.name.to_owned(),
            takes: set.licence.to_owned(),
            about: format!(
                "{} Cite: {}. From {}{more}.",
                set.about, set.citation, places[0]
            ),
            ..Entry::default()
        }
    };
    Set::all().iter().map(entry).collect()
}

fn environment() -> Vec<Entry> {
    let entry = |(name, about): &(&str, &str)| Entry {
        name: (*name).to_owned(),
        about: (*about).to_owned(),
        ..Entry::default()
    };
    ENVIRONMENT.iter().map(entry).collect()
}

const ENVIRONMENT: &[(&str, &str)] = &[
    (
        "SPECBOOK_STORE",
        "Folder of the store; `--store` goes before it.",
    ),
    (
        "SPECBOOK_DATA",
        "Folders, joined as in PATH: where public sets and pinned files are looked for by their SHA-256, whatever they are called.",
    ),
    (
        "HF_HOME, HF_HUB_CACHE, XDG_CACHE_HOME",
        "Where downloads are kept: those of the Hugging Face hub in its own cache (`~/.cache/huggingface/hub`), others in `~/.cache/specbook`.",
    ),
    (
        "HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE",
        "For `data fetch` and `run --fetch`: another hub, who asks, and whether the hub is not asked at all.",
    ),
    (
        "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE, SSL_CERT_DIR",
        "For whatever uses the network: proxies, and the certificates that are trusted.",
    ),
    (
        "NO_COLOR",
        "Any value: messages without colour. There are none either if standard error is not a terminal.",
    ),
    (
        "SSL_CERT_FILE",
        "Certificates that are trusted, instead of the system's; `SSL_CERT_DIR` is a folder of them.",
    ),
    (
        "HTTPS_PROXY",
        "A proxy for `https://`; `HTTP_PROXY` and `ALL_PROXY` for the others, `NO_PROXY` for hosts without one.",
    ),
    (
        "AWS_ACCESS_KEY_ID",
        "With `AWS_SECRET_ACCESS_KEY`, and `AWS_SESSION_TOKEN` if there is one: the credentials for a bucket (`s3://`). `AWS_REGION` and `AWS_ENDPOINT_URL` are its location.",
    ),
    (
        "SPECBOOK_CUDA_GRAPH",
        "`off`: on a GPU, no step is recorded as a CUDA graph. Results have the same bits.",
    ),
    (
        "SPECBOOK_TEST_DATA",
        "For the tests of the project: the folder with real text and tokenizers. Without it they look at `../shared/data`, and \
         tell what they skipped.",
    ),
    (
        "SPECBOOK_CASES",
        "For the tests of the project: how many random inputs each property test tries, as a multiple of the usual number.",
    ),
];

#[cfg(test)]
mod tests;
