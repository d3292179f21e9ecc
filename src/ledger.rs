//! The ledger of a spec, `NAME.ledger.jsonl` beside it: a history of registered claims and sizes, one entry per line.
//!
//! An entry holds new and changed claims (text, measure and bound) and sizes of the profile. A claim registered while
//! the spec had no report was registered before its first result; a claim that changed afterwards keeps its earlier
//! verdict. The ledger cannot prove when an idea arose, but it makes every later change visible.

use crate::claim::{Judged, Verdict, words};
use crate::digest::Sha256Hex;
use crate::spec::{Claim, Spec};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Format number of an entry.
const FORMAT: u32 = 1;
/// Maximum size of a ledger, bytes.
pub(crate) const LIMIT: u64 = 16 << 20;

/// One line of a ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// [`FORMAT`].
    format: u32,
    /// Date of the entry: `2026-11-21`.
    date: String,
    /// The profile of its sizes.
    profile: String,
    /// Whether the spec already had results.
    results: bool,
    /// The reason.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    note: String,
    /// New or changed claims.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    claims: Vec<Registered>,
    /// Removed claims.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    removed: Vec<String>,
    /// New or changed settings by path; a list of values if runs differ, null for a removed one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    sizes: BTreeMap<String, Value>,
    /// The verdicts of all claims before a change of sizes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    verdicts: BTreeMap<String, Verdict>,
}

/// A registered claim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Registered {
    id: String,
    /// Digest of everything that decides it.
    digest: Sha256Hex,
    says: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    measure: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bound: Option<String>,
    /// Its verdict before the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    had: Option<Verdict>,
}

/// The history of a claim in the ledger.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Registration {
    /// Date of its first entry.
    pub date: String,
    /// Whether the spec had no results at that date.
    pub is_before_results: bool,
    /// All later changes.
    pub changes: Vec<Change>,
    /// All later changes of the profile's sizes when results were known.
    pub resized: Vec<Change>,
    /// Whether its last entry matches the current spec.
    pub is_current: bool,
}

/// A change of a claim or its test.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Date of the entry.
    pub date: String,
    /// Its verdict before, if known.
    pub had: Option<Verdict>,
    /// The reason given in the entry, if the verdict changed.
    pub why: Option<String>,
}

/// Why a ledger cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("line {line} of the ledger: {reason}")]
pub(crate) struct LedgerError {
    line: usize,
    reason: String,
}

/// The entries of a spec's ledger.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ledger {
    entries: Vec<Entry>,
}

/// Path of a spec file's ledger.
pub(crate) fn path_of(spec: &Path) -> PathBuf {
    spec.with_extension("ledger.jsonl")
}

fn one_space(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Digest of a claim's statement, measure, test and expected value.
fn digest(claim: &Claim) -> Sha256Hex {
    let parts = [
        one_space(&claim.says),
        claim.kind.to_string(),
        claim.test.to_string(),
        one_space(claim.measure.as_deref().unwrap_or_default()),
        claim.expect.as_ref().map(words).unwrap_or_default(),
    ];
    Sha256Hex::of(parts.join("\n").as_bytes())
}

/// The settings of the runs by their dot path: one value, or the list of values in plan order if runs differ. Sample
/// settings do not count.
fn sizes(spec: &Spec) -> BTreeMap<String, Value> {
    fn flatten(value: &Value, path: &str, into: &mut BTreeMap<String, Vec<Value>>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    flatten(value, &format!("{path}.{key}"), into);
                }
            }
            // A setting missing in some runs is taken from the others.
            Value::Null => {}
            value => {
                let known = into.entry(path[1..].to_owned()).or_default();
                if !known.contains(value) {
                    known.push(value.clone());
                }
            }
        }
    }
    let mut all: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for run in &spec.runs {
        let settings = serde_json::to_value(&*run.settings).unwrap_or(Value::Null);
        flatten(&settings, "", &mut all);
    }
    all.retain(|path, _| !path.starts_with("eval.samples"));
    let one_or_all = |mut values: Vec<Value>| match values.len() {
        1 => values.swap_remove(0),
        _ => Value::Array(values),
    };
    let mut sizes: BTreeMap<String, Value> = all
        .into_iter()
        .map(|(path, values)| (path, one_or_all(values)))
        .collect();
    sizes.insert("runs".to_owned(), spec.runs.len().into());
    sizes
}

impl Ledger {
    /// Reads the lines of a ledger.
    ///
    /// # Errors
    /// A line that is not an entry or has a newer format.
    pub(crate) fn parse(text: &str) -> Result<Self, LedgerError> {
        let mut entries = Vec::new();
        for (index, line) in text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.is_empty())
        {
            let told = |reason: String| LedgerError {
                line: index + 1,
                reason,
            };
            let entry: Entry =
                serde_json::from_str(line).map_err(|error| told(error.to_string()))?;
            if entry.format != FORMAT {
                return Err(told(format!("format {}, known is {FORMAT}", entry.format)));
            }
            entries.push(entry);
        }
        Ok(Self { entries })
    }

    /// The latest registration of every claim that has not been removed since.
    fn claims(&self) -> BTreeMap<&str, &Registered> {
        let mut claims = BTreeMap::new();
        for entry in &self.entries {
            claims.extend(entry.claims.iter().map(|claim| (claim.id.as_str(), claim)));
            for id in &entry.removed {
                claims.remove(id.as_str());
            }
        }
        claims
    }

    /// The current sizes from the entries of a profile; `None` if it has none.
    fn sizes(&self, profile: &str) -> Option<BTreeMap<&str, &Value>> {
        let entries = self.entries.iter().filter(|entry| entry.profile == profile);
        let mut sizes = BTreeMap::new();
        for (path, value) in entries.flat_map(|entry| &entry.sizes) {
            match value {
                Value::Null => sizes.remove(path.as_str()),
                value => sizes.insert(path.as_str(), value),
            };
        }
        (!sizes.is_empty()).then_some(sizes)
    }

    /// The differences between `spec` and its last registration, in words.
    pub(crate) fn differences(&self, spec: &Spec) -> Vec<String> {
        let registered = self.claims();
        let mut told = Vec::new();
        for claim in &spec.claims {
            match registered.get(claim.id.as_str()) {
                None => told.push(format!("the claim `{}` is not registered", claim.id)),
                Some(known) if known.digest != digest(claim) => {
                    told.push(format!("the claim `{}` has changed", claim.id));
                }
                Some(_) => {}
            }
        }
        let is_gone = |id: &&&str| spec.claims.iter().all(|claim| claim.id != ***id);
        let gone = registered.keys().filter(is_gone);
        told.extend(gone.map(|id| format!("the claim `{id}` is gone")));
        if let Some(known) = self.sizes(&spec.profile) {
            let now = sizes(spec);
            let differs = |path: &&String| known.get(path.as_str()) != now.get(*path).as_ref();
            told.extend(now.keys().filter(differs).map(|path| {
                let show =
                    |value: Option<&Value>| value.map_or("none".to_owned(), Value::to_string);
                let (from, to) = (known.get(path.as_str()).copied(), now.get(path));
                format!("`{path}` is {}, registered is {}", show(to), show(from))
            }));
            let lost = known.keys().filter(|path| !now.contains_key(**path));
            told.extend(lost.map(|path| format!("`{path}` is gone")));
        } else {
            told.push(format!(
                "no sizes of the profile `{}` are registered",
                spec.profile
            ));
        }
        told
    }

    /// The entry that registers the current `spec`; `None` if nothing has changed. `verdicts` are those of the existing
    /// report.
    pub(crate) fn entry(
        &self,
        spec: &Spec,
        date: String,
        note: String,
        verdicts: Option<&BTreeMap<String, Verdict>>,
    ) -> Option<Entry> {
        let registered = self.claims();
        let changed = |claim: &&Claim| {
            let known = registered.get(claim.id.as_str());
            known.is_none_or(|known| known.digest != digest(claim))
        };
        let register = |claim: &Claim| Registered {
            id: claim.id.clone(),
            digest: digest(claim),
            says: one_space(&claim.says),
            measure: claim.measure.as_deref().map(one_space),
            bound: claim.expect.as_ref().map(words),
            had: verdicts
                .filter(|_| registered.contains_key(claim.id.as_str()))
                .and_then(|verdicts| verdicts.get(&claim.id).copied()),
        };
        let is_gone = |id: &&&str| spec.claims.iter().all(|claim| claim.id != ***id);
        let known = self.sizes(&spec.profile).unwrap_or_default();
        let now = sizes(spec);
        let lost = known.keys().filter(|path| !now.contains_key(**path));
        let mut changes: BTreeMap<String, Value> =
            lost.map(|path| ((*path).to_owned(), Value::Null)).collect();
        let differs = |(path, value): &(&String, &Value)| known.get(path.as_str()) != Some(value);
        changes.extend(
            now.iter()
                .filter(differs)
                .map(|(path, value)| (path.clone(), value.clone())),
        );
        let is_resized = !known.is_empty() && !changes.is_empty();
        let entry = Entry {
            format: FORMAT,
            date,
            profile: spec.profile.clone(),
            results: verdicts.is_some(),
            note,
            claims: spec.claims.iter().filter(changed).map(register).collect(),
            removed: registered
                .keys()
                .filter(is_gone)
                .map(|id| (*id).to_owned())
                .collect(),
            sizes: changes,
            verdicts: verdicts.filter(|_| is_resized).cloned().unwrap_or_default(),
        };
        let is_empty =
            entry.claims.is_empty() && entry.removed.is_empty() && entry.sizes.is_empty();
        (!is_empty).then_some(entry)
    }

    /// Adds the history from the ledger to each claim.
    pub(crate) fn tell(&self, spec: &Spec, judged: &mut [Judged]) {
        let of_profile =
            |(_, entry): &(usize, &Entry)| entry.profile == spec.profile && !entry.sizes.is_empty();
        let resized = self.entries.iter().enumerate().filter(of_profile).skip(1);
        let resized: Vec<_> = resized.filter(|(_, entry)| entry.results).collect();
        for (one, claim) in judged.iter_mut().filter_map(|one| {
            let claim = spec.claims.iter().find(|claim| claim.id == one.id)?;
            Some((one, claim))
        }) {
            let own = |entry: &'_ Entry| {
                let own = entry.claims.iter().find(|known| known.id == claim.id)?;
                Some((entry.clone(), own.clone()))
            };
            let entries: Vec<(Entry, Registered)> = self.entries.iter().filter_map(own).collect();
            let [(first, _), later @ ..] = entries.as_slice() else {
                continue;
            };
            let mut after = Some(one.verdict);
            let mut changes = Vec::with_capacity(later.len());
            for (entry, own) in later.iter().rev() {
                let is_another = own.had.is_some() && own.had != after;
                let why = is_another && !entry.note.is_empty();
                changes.push(Change {
                    date: entry.date.clone(),
                    had: own.had,
                    why: why.then(|| entry.note.clone()),
                });
                after = own.had.or(after);
            }
            changes.reverse();
            let is_own = |entry: &Entry| entry.claims.iter().any(|known| known.id == claim.id);
            let since = self.entries.iter().position(is_own);
            let resized = resized
                .iter()
                .filter(|(at, _)| since.is_some_and(|since| *at > since));
            one.registered = Some(Registration {
                date: first.date.clone(),
                is_before_results: !first.results,
                is_current: entries
                    .last()
                    .is_some_and(|(_, last)| last.digest == digest(claim)),
                changes,
                resized: resized
                    .map(|(_, entry)| Change {
                        date: entry.date.clone(),
                        had: entry.verdicts.get(&claim.id).copied(),
                        why: None,
                    })
                    .collect(),
            });
        }
    }
}

impl Entry {
    /// The entry as a line.
    pub(crate) fn line(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string(self)? + "\n")
    }

    /// A summary in words.
    pub(crate) fn about(&self) -> String {
        format!(
            "{} claims, {} removed, {} settings",
            self.claims.len(),
            self.removed.len(),
            self.sizes.len()
        )
    }
}

impl std::fmt::Display for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let when = match self.is_before_results {
            true => "before the first result of this spec",
            false => "when results of this spec were known",
        };
        write!(f, "Registered {}, {when}.", self.date)?;
        let claim = self.changes.iter().map(|change| ("Changed", change));
        let sizes = self.resized.iter().map(|change| ("Sizes changed", change));
        for (what, Change { date, had, why }) in claim.chain(sizes) {
            match had {
                Some(had) => write!(f, " {what} {date}; its verdict was \"{had}\".")?,
                None => write!(f, " {what} {date}.")?,
            }
            if let Some(why) = why {
                write!(f, " The verdict changed afterwards: {why}")?;
            }
        }
        if !self.is_current {
            f.write_str(" Changed since, without an entry.")?;
        }
        Ok(())
    }
}

/// Calendar date from seconds since 1970 (Hinnant's algorithm).
pub(crate) fn day(seconds: u64) -> String {
    let days = (seconds / 86_400) as i64 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{date:02}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{LoadRequest, parse};
    use insta::assert_snapshot;

    const SPEC: &str = "specbook: 1\nname: a\ntitle: t\nbase:\n  data: {corpus: {stories: {version: 1}}, tokenizer: {train_bpe: {vocab_size: 300}}, train: 40, validation: 2}\n  model: {dim: 8, n_layers: 1, n_heads: 2, max_seq_len: 8}\n  train: {batch_size: 2, optimizer: {adamw: {learning_rate: 0.001}}, validate: {every: end}}\nclaims:\n  - {id: A-1, says: It falls., measure: run('base').val_loss, expect: {below: 5}}\n";

    fn spec(edits: &[(&str, &str)]) -> Spec {
        let mut text = SPEC.to_owned();
        for (from, to) in edits {
            assert!(text.contains(from));
            text = text.replace(from, to);
        }
        parse(&text, Path::new("a.yaml"), &LoadRequest::default()).unwrap()
    }

    fn with(ledger: &Ledger, entry: Entry) -> Ledger {
        let lines: String = ledger
            .entries
            .iter()
            .map(|entry| entry.line().unwrap())
            .collect();
        Ledger::parse(&(lines + &entry.line().unwrap())).unwrap()
    }

    #[test]
    fn every_change_of_a_claim_or_a_size_needs_an_entry() {
        let (none, first) = (Ledger::default(), spec(&[]));
        assert_eq!(none.differences(&first).len(), 2);
        let entry = none.entry(&first, "2026-01-01".to_owned(), String::new(), None);
        let ledger = with(&none, entry.unwrap());
        assert!(ledger.differences(&first).is_empty());
        assert_eq!(
            ledger.entry(&first, String::new(), String::new(), None),
            None
        );
        let changed = spec(&[("train: 40", "train: 50"), ("below: 5", "below: 6")]);
        assert_snapshot!(ledger.differences(&changed).join("\n"), @"
        the claim `A-1` has changed
        `data.train` is 50, registered is 40
        ");
        // Words around the claim may change; its test may not.
        let noted = spec(&[("says: It falls.", "note: A remark., says: It falls.")]);
        assert!(ledger.differences(&noted).is_empty());
        let tested = spec(&[("says: It falls.", "kind: control, says: It falls.")]);
        assert_eq!(ledger.differences(&tested), ["the claim `A-1` has changed"]);
        let renamed = spec(&[("A-1", "A-2")]);
        assert_snapshot!(ledger.differences(&renamed).join("\n"), @r"
        the claim `A-2` is not registered
        the claim `A-1` is gone
        ");
    }

    #[test]
    fn a_report_tells_when_a_claim_was_registered_and_what_it_had_been() {
        let (first, changed) = (spec(&[]), spec(&[("below: 5", "below: 6")]));
        let none = Ledger::default();
        let entry = none.entry(&first, "2026-01-01".to_owned(), String::new(), None);
        let ledger = with(&none, entry.unwrap());
        let verdicts = BTreeMap::from([("A-1".to_owned(), Verdict::Fails)]);
        let entry = ledger.entry(
            &changed,
            "2026-02-03".to_owned(),
            "Eased.".to_owned(),
            Some(&verdicts),
        );
        let ledger = with(&ledger, entry.unwrap());
        let told = |spec: &Spec| {
            let results = crate::record::Results::default();
            let mut judged = crate::claim::judge(&spec.claims, "desk", &results);
            ledger.tell(spec, &mut judged);
            judged[0].registered.clone().unwrap().to_string()
        };
        assert_snapshot!(told(&changed), @r#"Registered 2026-01-01, before the first result of this spec. Changed 2026-02-03; its verdict was "fails". The verdict changed afterwards: Eased."#);
        assert!(told(&first).ends_with("Changed since, without an entry."));
        let resized = spec(&[("below: 5", "below: 6"), ("train: 40", "train: 50")]);
        let date = "2026-03-04".to_owned();
        let entry = ledger.entry(&resized, date, "Smaller.".to_owned(), Some(&verdicts));
        let ledger = with(&ledger, entry.unwrap());
        assert!(ledger.differences(&resized).is_empty());
        let mut judged =
            crate::claim::judge(&resized.claims, "desk", &crate::record::Results::default());
        ledger.tell(&resized, &mut judged);
        let told = judged[0].registered.clone().unwrap().to_string();
        assert!(
            told.ends_with("Eased. Sizes changed 2026-03-04; its verdict was \"fails\"."),
            "{told}"
        );
        assert!(Ledger::parse("{\"format\": 2}").is_err());
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        assert_eq!(
            [day(0), day(951_782_400), day(1_795_996_799)],
            ["1970-01-01", "2000-02-29", "2026-11-29"]
        );
    }

    /// A ledger is committed to the repository, so somebody else may have written it.
    #[test]
    fn changed_ledgers_are_read_or_refused() {
        let first = spec(&[]);
        let entry = Ledger::default().entry(&first, "2026-01-01".to_owned(), String::new(), None);
        let line = entry.unwrap().line().unwrap();
        let seeds = [line.clone().into_bytes(), line.repeat(3).into_bytes()];
        let words = [
            "null",
            "[",
            "]",
            "{",
            "}",
            "\n",
            "A-1",
            "\"format\":",
            "\\ud83d",
        ];
        crate::test_support::fuzz("ledgers", &seeds, &words, 1000, |bytes| {
            let text = String::from_utf8_lossy(bytes);
            if let Ok(ledger) = Ledger::parse(&text) {
                let _ = ledger.differences(&first);
                let _ = ledger.entry(&first, String::new(), String::new(), None);
            }
        });
    }
}
