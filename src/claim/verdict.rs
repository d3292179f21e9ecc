//! Verdicts.
//!
//! | Case | Verdict |
//! |---|---|
//! | the spec says that the source contradicts itself | `source inconsistent` (with our number, where there is one) |
//! | needs a reader, a clock, another profile or other data; a missing or failed run; NaN; a measure that cannot be evaluated | `not checkable here` |
//! | three or more seeds, and the 95 % Student-t interval of the measure contains a bound | `inconclusive` |
//! | fewer seeds, and the measure compares single runs ([`crate::expr::Measured::seed_dependent`]) | `inconclusive`: too few seeds |
//! | two seeds on different sides of a bound | `inconclusive` |
//! | otherwise | `holds` or `fails`, by the measure on the mean over seeds |

use crate::expr::{ExprError, Measured, Scope, Session};
use crate::record::Results;
use crate::spec::{Claim, ClaimType, Expect, Published};
use crate::stats::interval;
use serde::{Deserialize, Serialize};

/// Seeds from which on an interval decides.
const ENOUGH_SEEDS: usize = 3;

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Our runs show it.
    Holds,
    /// Our runs show the contrary.
    Fails,
    /// Our runs do not decide it.
    Inconclusive,
    /// It needs data, a scale, runs or a reader that are not here.
    NotCheckableHere,
    /// The study contradicts itself.
    SourceInconsistent,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Holds => "holds",
            Self::Fails => "fails",
            Self::Inconclusive => "inconclusive",
            Self::NotCheckableHere => "not checkable here",
            Self::SourceInconsistent => "source inconsistent",
        })
    }
}

/// Why a verdict is what it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// The measure decided: what it is, and what that rests on.
    Measured {
        /// `0.31 is above 0.1`.
        comparison: String,
        /// `over 3 seeds`.
        basis: String,
    },
    /// Anything else, in words.
    Stated(String),
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Measured { comparison, basis } => write!(f, "{comparison} ({basis})"),
            Self::Stated(reason) => f.write_str(reason),
        }
    }
}

impl From<&str> for Reason {
    fn from(reason: &str) -> Self {
        Self::Stated(reason.to_owned())
    }
}

impl Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A claim with its verdict.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// Short name.
    pub id: String,
    /// The statement.
    pub says: String,
    /// What kind of statement it is.
    pub kind: Option<ClaimType>,
    /// Where the study makes it.
    pub place: String,
    /// What was published.
    pub published: Option<Published>,
    /// What is measured, as written.
    pub measure: Option<String>,
    /// What is expected, in words: `above 0.1`.
    pub expect: Option<String>,
    /// The measure on the mean over seeds.
    pub ours: Option<f64>,
    /// The measure for each seed that all its runs have.
    pub per_seed: Vec<(u64, f64)>,
    /// 95 % Student-t interval of the measure over seeds; with three or more.
    pub interval: Option<[f64; 2]>,
    /// Distance of `ours` from the nearest bound; positive on the expected side.
    pub margin: Option<f64>,
    /// The verdict.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// A remark of the spec.
    pub note: Option<String>,
    /// Whether a reader decides it.
    pub needs_reading: bool,
}

/// Judges `claims` over `results`, in their order.
pub fn judge(claims: &[Claim], profile: &str, results: &Results) -> Vec<Judged> {
    let session = Session::new(results.clone());
    claims
        .iter()
        .map(|claim| match claim.needs.timing {
            true => without_a_clock(claim),
            false => judge_one(claim, profile, results, &session),
        })
        .collect()
}

/// Judges those of `claims` that are about wall-clock time, which [`judge`] leaves open. `results` have the times of their records.
pub fn judge_times(claims: &[Claim], profile: &str, results: &Results) -> Vec<Judged> {
    let timed: Vec<&Claim> = claims.iter().filter(|claim| claim.needs.timing).collect();
    if timed.is_empty() {
        return Vec::new();
    }
    let mut results = results.clone();
    for run in &mut results.runs {
        let times = run.record.iter().flat_map(|record| record.timing.metrics());
        run.metrics
            .extend(times.map(|(name, seconds)| (name.to_owned(), seconds)));
    }
    let session = Session::new(results.clone());
    let judge = |claim: &&Claim| judge_one(claim, profile, &results, &session);
    timed.iter().map(judge).collect()
}

/// The claim as far as it goes without the times.
fn without_a_clock(claim: &Claim) -> Judged {
    Judged {
        reason: "wall-clock time is no result; `timing.json` has the measure of these runs".into(),
        ..open(claim)
    }
}

fn judge_one(claim: &Claim, profile: &str, results: &Results, session: &Session) -> Judged {
    let mut judged = open(claim);
    let measured = measure(claim, session, &mut judged);
    let stated = |verdict, reason: String| (verdict, Reason::Stated(reason));
    (judged.verdict, judged.reason) = if let Some(reason) = &claim.inconsistent {
        stated(Verdict::SourceInconsistent, reason.clone())
    } else if let Some(reason) = unmet(claim, profile, results) {
        stated(Verdict::NotCheckableHere, reason)
    } else {
        match (measured, &claim.expect) {
            (Some(Err(reason)), _) => stated(Verdict::NotCheckableHere, reason),
            (Some(Ok(measured)), Some(expect)) => decide(&judged, &measured, expect),
            _ => stated(
                Verdict::NotCheckableHere,
                "the spec gives no measure and expectation".to_owned(),
            ),
        }
    };
    judged
}

/// A claim before it is measured.
fn open(claim: &Claim) -> Judged {
    Judged {
        id: claim.id.clone(),
        says: claim.says.clone(),
        kind: claim.kind,
        place: claim.place.clone(),
        published: claim.published.clone(),
        measure: claim.measure.clone(),
        expect: claim.expect.as_ref().map(words),
        ours: None,
        per_seed: Vec::new(),
        interval: None,
        margin: None,
        verdict: Verdict::NotCheckableHere,
        reason: "".into(),
        note: claim.note.clone(),
        needs_reading: claim.needs.reading,
    }
}

/// Why the claim's needs are not met.
fn unmet(claim: &Claim, profile: &str, results: &Results) -> Option<String> {
    let needs = &claim.needs;
    if needs.reading {
        return Some("needs a reader".to_owned());
    }
    if !needs.profiles.is_empty() && !needs.profiles.iter().any(|name| name == profile) {
        return Some(format!(
            "needs the profile `{}`, this is `{profile}`",
            needs.profiles.join("` or `")
        ));
    }
    let data = needs.data.as_ref()?;
    let sources: Vec<String> = results.runs.iter().map(|run| data_kind(&run.key)).collect();
    let own = sources
        .first()
        .cloned()
        .unwrap_or_else(|| "unknown".to_owned());
    let met = !sources.is_empty() && sources.iter().all(|source| source == data);
    (!met).then(|| format!("needs the data `{data}`, these runs have `{own}`"))
}

/// What a run was trained on: the generator of an embedded corpus, or `files`.
fn data_kind(key: &serde_json::Value) -> String {
    let train = &key["data"]["train"];
    match train["embedded"]["generator"].as_str() {
        Some(generator) => generator.to_owned(),
        None if train["documents"].is_object() => "files".to_owned(),
        None => "unknown".to_owned(),
    }
}

/// Fills `ours`, `per_seed`, `interval` and `margin`. `None` where the claim has no measure.
fn measure(
    claim: &Claim,
    session: &Session,
    judged: &mut Judged,
) -> Option<Result<Measured, String>> {
    let expression = claim.measure.as_ref()?;
    let reason = |error: ExprError| {
        if error.is_not_available() {
            error.to_string()
        } else {
            format!("the measure cannot be evaluated: {error}")
        }
    };
    let measured = match session.measure(expression, Scope::Mean) {
        Ok(measured) if measured.value.is_nan() => {
            return Some(Err("the measure is NaN".to_owned()));
        }
        Ok(measured) if measured.value.is_infinite() => {
            return Some(Err("the measure is infinite".to_owned()));
        }
        Ok(measured) => measured,
        Err(error) => return Some(Err(reason(error))),
    };
    judged.ours = Some(measured.value);
    judged.margin = claim
        .expect
        .as_ref()
        .map(|expect| margin(expect, measured.value));
    for seed in &measured.seeds {
        match session.measure(expression, Scope::Seed(*seed)) {
            Ok(own) if own.value.is_finite() => judged.per_seed.push((*seed, own.value)),
            Ok(own) => {
                return Some(Err(format!(
                    "the measure is {} with seed {seed}",
                    own.value
                )));
            }
            Err(error) => return Some(Err(format!("with seed {seed}: {}", reason(error)))),
        }
    }
    if judged.per_seed.len() >= ENOUGH_SEEDS {
        let values: Vec<f64> = judged.per_seed.iter().map(|(_, value)| *value).collect();
        judged.interval = interval(&values);
    }
    Some(Ok(measured))
}

fn decide(judged: &Judged, measured: &Measured, expect: &Expect) -> (Verdict, Reason) {
    let undecided = |reason: String| (Verdict::Inconclusive, Reason::Stated(reason));
    let ours = measured.value;
    let seeds = judged.per_seed.len();
    let expected = margin_is_met(expect, ours);
    let side = if expected { "expected" } else { "other" };
    let agree = judged
        .per_seed
        .iter()
        .all(|(_, value)| margin_is_met(expect, *value) == expected);
    if let Some([low, high]) = judged.interval {
        let contained = bounds(expect)
            .into_iter()
            .find(|bound| low < high && low <= *bound && *bound <= high);
        if let Some(bound) = contained {
            let reason = format!(
                "the 95 % interval over {seeds} seeds contains {}",
                short(bound)
            );
            return undecided(reason);
        }
        let centre = judged.per_seed.iter().map(|(_, value)| value).sum::<f64>() / seeds as f64;
        if margin_is_met(expect, centre) != expected {
            let reason =
                "the measure on the mean and the mean over seeds lie on different sides".to_owned();
            return undecided(reason);
        }
    } else if measured.seed_dependent {
        let reason = format!(
            "too few seeds ({}, three decide); the value is on the {side} side",
            seeds.max(1)
        );
        return undecided(reason);
    } else if !agree {
        return undecided(format!("the {seeds} seeds disagree"));
    }
    let verdict = if expected {
        Verdict::Holds
    } else {
        Verdict::Fails
    };
    let basis = match (judged.interval, measured.seed_dependent) {
        (Some(_), _) => format!("over {seeds} seeds"),
        (None, _) => "a count, formula or many runs: seeds do not decide it".to_owned(),
    };
    let is = if expected { "is" } else { "is not" };
    let comparison = format!("{} {is} {}", short(ours), words(expect));
    (verdict, Reason::Measured { comparison, basis })
}

/// Equality up to rounding of a computed number.
fn equal(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

fn margin_is_met(expect: &Expect, value: f64) -> bool {
    match *expect {
        Expect::Above(bound) => value > bound,
        Expect::Below(bound) => value < bound,
        Expect::Within([centre, tolerance]) => (value - centre).abs() <= tolerance,
        Expect::Equals(wanted) => equal(value, wanted),
    }
}

/// Distance from the nearest bound, positive on the expected side.
fn margin(expect: &Expect, value: f64) -> f64 {
    match *expect {
        Expect::Above(bound) => value - bound,
        Expect::Below(bound) => bound - value,
        Expect::Within([centre, tolerance]) => tolerance - (value - centre).abs(),
        // From 0.0, so that equality gives 0 and not -0.
        Expect::Equals(wanted) => 0.0 - (value - wanted).abs(),
    }
}

/// The values at which the verdict changes; an interval that holds one decides nothing. For an equality, the value itself:
/// replicates that scatter around it do not prove it.
fn bounds(expect: &Expect) -> Vec<f64> {
    match *expect {
        Expect::Above(bound) | Expect::Below(bound) => vec![bound],
        Expect::Within([centre, tolerance]) => vec![centre - tolerance, centre + tolerance],
        Expect::Equals(wanted) => vec![wanted],
    }
}

fn words(expect: &Expect) -> String {
    match *expect {
        Expect::Above(bound) => format!("above {bound}"),
        Expect::Below(bound) => format!("below {bound}"),
        Expect::Within([centre, tolerance]) => format!("within {tolerance} of {centre}"),
        Expect::Equals(wanted) => format!("equal to {wanted}"),
    }
}

/// Up to four significant decimals, for sentences.
fn short(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
