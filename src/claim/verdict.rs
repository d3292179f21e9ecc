//! Verdicts.
//!
//! | Case | Verdict |
//! |---|---|
//! | the spec states that the source contradicts itself | `source inconsistent` (with our number, if there is one) |
//! | needs a reader, a clock, another profile or other data; a missing or failed run; NaN; a measure that cannot be evaluated | `not checkable here` |
//! | `exact`, or a measure that depends on nothing that varies with the seed | `holds` or `fails` by comparison |
//! | neither three seeds nor three draws nor five matched pairs | `inconclusive`, with the size of the effect relative to the noise over seeds if that is known |
//! | all sources of variation agree at 5 % ([`super::evidence`]) | `holds` or `fails` |
//! | otherwise | `inconclusive` |
//!
//! An order holds if all its gaps do, and fails if one of them fails at 5 % divided by the number
//! of gaps. The tested findings are a family: [`Judged::adjusted`] has the decision by Holm's
//! method, for which the probability of any error in the family is at most 5 %.

use super::evidence::{self, Evidence, LEVEL, Part, Source, SourceInterval};
use crate::expr::Session;
use crate::ledger::Registration;
use crate::record::{Results, metric};
use crate::spec::{Claim, ClaimKind, ClaimType, Expect, Published};
use crate::stats;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Said of claims that `needs: {data: files}` lets through.
const UNIDENTIFIED: &str =
    "the claim names no digest of its data, so these files need not be those of the study";

/// The outcome of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Our runs show it.
    Holds,
    /// Our runs show the contrary.
    Fails,
    /// Our runs do not decide the claim.
    Inconclusive,
    /// It needs data, a scale, runs or a reader that are not available here.
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

/// The reason for a verdict.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// The measure decided: the comparison and its basis.
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
    /// The statement of the claim.
    pub says: String,
    /// Its subject.
    pub kind: ClaimKind,
    /// The kind of test.
    pub test: ClaimType,
    /// Its place in the study.
    pub place: String,
    /// The published value.
    pub published: Option<Published>,
    /// A description of the measured quantity.
    pub quantity: Option<String>,
    /// Its unit; empty for a pure number.
    pub unit: String,
    /// The measured expression, as written.
    pub measure: Option<String>,
    /// The expectation in words: `above 0.1`.
    pub expect: Option<String>,
    /// The measure over all replicates; for an order, the gap that is nearest to its bound.
    pub ours: Option<f64>,
    /// The measure for each seed that all its runs have.
    pub per_seed: Vec<(u64, f64)>,
    /// The interval over seeds if there is one, otherwise over draws or pairs.
    pub interval: Option<[f64; 2]>,
    /// The intervals over every source of variation.
    pub intervals: Vec<SourceInterval>,
    /// Largest p-value over the sources of variation (and over the gaps of an order), of this test
    /// alone.
    pub p: Option<f64>,
    /// The decision corrected for all findings of the spec.
    pub adjusted: Option<Adjusted>,
    /// The size of the effect relative to the noise over seeds, if single runs per setting cannot
    /// be tested.
    pub noise: Option<Noise>,
    /// Distance of `ours` from the nearest bound; positive on the expected side.
    pub margin: Option<f64>,
    /// The verdict.
    pub verdict: Verdict,
    /// The reason.
    pub reason: Reason,
    /// The entry of the spec's ledger.
    pub registered: Option<Registration>,
    /// A note from the spec.
    pub note: Option<String>,
    /// Whether a reader must decide it.
    pub needs_reading: bool,
}

/// A decision by Holm's method.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Adjusted {
    /// The adjusted p-value.
    pub p: f64,
    /// The verdict for that p-value at 5 %.
    pub verdict: Verdict,
}

/// The noise of a metric over seeds, estimated from the settings that have several.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Noise {
    /// The metric.
    pub metric: String,
    /// Its standard deviation over seeds, pooled over the settings.
    pub sd: f64,
    /// Number of settings used for the estimate.
    pub settings: usize,
    /// Distance of the measure from its bound, in these standard deviations.
    pub times: f64,
}

/// Judges `claims` over `results`, in their order.
pub fn judge(claims: &[Claim], profile: &str, results: &Results) -> Vec<Judged> {
    let session = Session::new(results.clone());
    let mut judged: Vec<Judged> = claims
        .iter()
        .map(|claim| match claim.needs.timing {
            true => without_a_clock(claim),
            false => judge_one(claim, profile, results, &session),
        })
        .collect();
    adjust(&mut judged);
    judged
}

/// Corrects the decisions on findings for their number.
fn adjust(judged: &mut [Judged]) {
    let is_of_family = |one: &&mut Judged| {
        let is_decided = !matches!(
            one.verdict,
            Verdict::NotCheckableHere | Verdict::SourceInconsistent
        );
        one.kind == ClaimKind::Finding && is_decided && one.p.is_some()
    };
    let mut family: Vec<&mut Judged> = judged.iter_mut().filter(is_of_family).collect();
    let p: Vec<f64> = family.iter().filter_map(|one| one.p).collect();
    for (one, p) in family.iter_mut().zip(stats::holm(&p)) {
        let verdict = match p <= LEVEL {
            true => one.verdict,
            false => Verdict::Inconclusive,
        };
        one.adjusted = Some(Adjusted { p, verdict });
    }
}

/// Judges the claims about wall-clock time, which [`judge`] leaves open. `results` must contain the
/// times of the records.
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

/// The claim as judged without any times.
fn without_a_clock(claim: &Claim) -> Judged {
    Judged {
        reason: "wall-clock time is not reproducible; see `timing.json`".into(),
        ..open(claim)
    }
}

fn judge_one(claim: &Claim, profile: &str, results: &Results, session: &Session) -> Judged {
    let mut judged = open(claim);
    let measured = measure(claim, session, &mut judged);
    let noise = |evidence: &Evidence| noise(claim, results, evidence);
    let stated = |verdict, reason: String| (verdict, Reason::Stated(reason));
    (judged.verdict, judged.reason) = if let Some(reason) = &claim.inconsistent {
        stated(Verdict::SourceInconsistent, reason.clone())
    } else if let Some(reason) = unmet(claim, profile, results) {
        stated(Verdict::NotCheckableHere, reason)
    } else {
        match (measured, &claim.expect) {
            (Some(Err(reason)), _) => stated(Verdict::NotCheckableHere, reason),
            (Some(Ok(evidence)), Some(expect)) => {
                let (verdict, reason) = decide(claim.test, &evidence, expect);
                let is_untested = !evidence.measured.varying.is_empty() && judged.p.is_none();
                if claim.test != ClaimType::Exact && is_untested {
                    judged.noise = noise(&evidence);
                }
                let noise = judged.noise.as_ref().map(told);
                let of_files = claim.needs.data.as_deref() == Some("files");
                let more: Vec<String> = noise
                    .into_iter()
                    .chain(of_files.then(|| UNIDENTIFIED.to_owned()))
                    .collect();
                match more.is_empty() {
                    true => (verdict, reason),
                    false => stated(verdict, format!("{reason}; {}", more.join("; "))),
                }
            }
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
        test: claim.test,
        quantity: claim.quantity.clone(),
        unit: claim.unit.clone(),
        place: claim.place.clone(),
        published: claim.published.clone(),
        measure: claim.measure.clone(),
        expect: claim.expect.as_ref().map(words),
        ours: None,
        per_seed: Vec::new(),
        interval: None,
        intervals: Vec::new(),
        p: None,
        adjusted: None,
        noise: None,
        margin: None,
        verdict: Verdict::NotCheckableHere,
        reason: "".into(),
        registered: None,
        note: claim.note.clone(),
        needs_reading: claim.needs.reading,
    }
}

/// The reason why the claim's requirements are not met, if any.
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
    // Kinds of data are words; everything else that `check` lets through is a digest.
    let is_digest = data.len() == 64;
    let source = |key| match is_digest {
        true => documents(key).unwrap_or("unknown"),
        false => data_kind(key),
    };
    let sources: Vec<&str> = results.runs.iter().map(|run| source(&run.key)).collect();
    let own = sources.first().copied().unwrap_or("unknown");
    let is_same = |source: &&str| source.eq_ignore_ascii_case(data);
    let met = !sources.is_empty() && sources.iter().all(is_same);
    (!met).then(|| format!("needs the data `{data}`, these runs have `{own}`"))
}

/// The training data of a run: the generator of an embedded corpus, or `files`.
fn data_kind(key: &serde_json::Value) -> &str {
    match key["data"]["train"]["embedded"]["generator"].as_str() {
        Some(generator) => generator,
        None if documents(key).is_some() => "files",
        None => "unknown",
    }
}

/// The SHA-256 of a run's training documents, if they come from files.
fn documents(key: &serde_json::Value) -> Option<&str> {
    key["data"]["train"]["documents"]["sha256"].as_str()
}

/// Fills in the measured values. `None` if the claim has no measure.
fn measure(
    claim: &Claim,
    session: &Session,
    judged: &mut Judged,
) -> Option<Result<Evidence, String>> {
    let (expression, expect) = (claim.measure.as_ref()?, claim.expect.as_ref()?);
    let prepared = match session.prepare(expression) {
        Ok(prepared) => prepared,
        Err(error) => return Some(Err(format!("the measure cannot be evaluated: {error}"))),
    };
    let evidence = match evidence::gather(&prepared, claim.test, expect) {
        Ok(evidence) => evidence,
        Err(reason) => return Some(Err(reason)),
    };
    let first = &evidence.parts[0];
    judged.ours = Some(first.value);
    judged.margin = Some(margin(expect, first.value));
    judged.per_seed.clone_from(&evidence.per_seed);
    judged.intervals.clone_from(&first.intervals);
    let of_training = first
        .intervals
        .iter()
        .find(|one| one.source != Source::Documents);
    judged.interval = of_training.map(|one| [one.low, one.high]);
    let (all, is_met) = (&evidence.parts, is_met(expect, first.value));
    judged.p = match is_met {
        // All gaps of an order must hold, so the weakest decides; a single failing gap refutes it.
        true => all
            .iter()
            .map(Part::p)
            .try_fold(0.0, |most: f64, p| Some(most.max(p?))),
        false => first.p().map(|p| (p * all.len() as f64).min(1.0)),
    };
    Some(Ok(evidence))
}

/// The noise of the first metric that the measure uses and that is known with several seeds for
/// some setting.
fn noise(claim: &Claim, results: &Results, evidence: &Evidence) -> Option<Noise> {
    let part = &evidence.parts[0];
    let margin = margin(claim.expect.as_ref()?, part.value).abs();
    let known = evidence
        .measured
        .varying
        .iter()
        .filter(|name| metric(name).is_some());
    known.into_iter().find_map(|name| {
        let mut groups: BTreeMap<(&str, u64), Vec<f64>> = BTreeMap::new();
        for run in &results.runs {
            if let Some(value) = run.metrics.get(name.as_str()) {
                groups
                    .entry((&run.group, run.draw()))
                    .or_default()
                    .push(*value);
            }
        }
        let spreads: Vec<(f64, f64)> = groups
            .values()
            .filter(|values| values.len() > 2)
            .filter_map(|values| Some(((values.len() - 1) as f64, stats::sd(values)?)))
            .collect();
        let degrees: f64 = spreads.iter().map(|(degrees, _)| degrees).sum();
        let squares: f64 = spreads.iter().map(|(degrees, sd)| degrees * sd * sd).sum();
        let sd = (squares / degrees).sqrt();
        (sd > 0.0).then(|| Noise {
            metric: name.clone(),
            sd,
            settings: spreads.len(),
            times: margin / sd,
        })
    })
}

fn told(noise: &Noise) -> String {
    let settings = match noise.settings {
        1 => "one setting".to_owned(),
        several => format!("{several} settings"),
    };
    format!(
        "its distance from the bound is {} times the standard deviation of `{}` over seeds ({}, from {settings} of this spec)",
        crate::human::significant(noise.times, 2),
        noise.metric,
        crate::human::significant(noise.sd, 2),
    )
}

fn decide(test: ClaimType, evidence: &Evidence, expect: &Expect) -> (Verdict, Reason) {
    let undecided = |reason: String| (Verdict::Inconclusive, Reason::Stated(reason));
    let first = &evidence.parts[0];
    let expected = is_met(expect, first.value);
    let verdict = if expected {
        Verdict::Holds
    } else {
        Verdict::Fails
    };
    let is = if expected { "is" } else { "is not" };
    let comparison = format!("{} {is} {}", short(first.value), words(expect));
    let is_fixed = evidence.measured.varying.is_empty() && !first.is_tested();
    if test == ClaimType::Exact || is_fixed {
        // A count may differ between draws of documents, and a comparison may differ between seeds.
        let differs = |(_, value): &(u64, f64)| is_met(expect, *value) != expected;
        if evidence.per_seed.iter().any(differs) {
            return undecided(format!("the {} seeds disagree", evidence.per_seed.len()));
        }
        let basis = "a count or an identity, compared".to_owned();
        return (verdict, Reason::Measured { comparison, basis });
    }
    if evidence.parts.iter().any(|part| !part.is_tested()) {
        let side = if expected { "expected" } else { "other" };
        let seeds = evidence.measured.seeds.len().max(1);
        return undecided(format!(
            "too few seeds to test ({seeds}, three are needed); the value is on the {side} side"
        ));
    }
    let count = evidence.parts.len();
    let undecided_part = match expected {
        true => evidence
            .parts
            .iter()
            .find(|part| part.p().is_none_or(|p| p > LEVEL)),
        false => Some(first).filter(|part| part.p().is_none_or(|p| p * count as f64 > LEVEL)),
    };
    if let Some(part) = undecided_part {
        let open = part.intervals.iter().max_by(|a, b| a.p.total_cmp(&b.p));
        let reason = open.map_or_else(String::new, |open| {
            format!(
                "{}: the interval over {} {} reaches from {} to {}",
                comparison,
                open.n,
                source(open.source),
                short(open.low),
                short(open.high)
            )
        });
        return undecided(reason);
    }
    let over: Vec<String> = first
        .intervals
        .iter()
        .map(|one| format!("{} {}", one.n, source(one.source)))
        .collect();
    let gaps = match count {
        1 => String::new(),
        several => format!(", the narrowest of {several} gaps"),
    };
    let basis = format!("over {}{gaps}", over.join(", "));
    (verdict, Reason::Measured { comparison, basis })
}

fn source(source: Source) -> &'static str {
    match source {
        Source::Seeds => "seeds",
        Source::Draws => "draws of documents",
        Source::Pairs => "matched pairs",
        Source::Documents => "held-out documents",
    }
}

/// Equality up to the rounding of a computed number.
fn equal(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

/// Whether a value meets the expectation.
pub(super) fn is_met(expect: &Expect, value: f64) -> bool {
    match *expect {
        Expect::Above(bound) | Expect::Increasing(bound) => value > bound,
        Expect::Below(bound) => value < bound,
        Expect::Decreasing(gap) => value < -gap,
        Expect::Within([centre, tolerance]) => (value - centre).abs() <= tolerance,
        Expect::Equals(wanted) => equal(value, wanted),
    }
}

/// Distance from the nearest bound, positive on the expected side.
pub(super) fn margin(expect: &Expect, value: f64) -> f64 {
    match *expect {
        Expect::Above(bound) | Expect::Increasing(bound) => value - bound,
        Expect::Below(bound) => bound - value,
        Expect::Decreasing(gap) => -gap - value,
        Expect::Within([centre, tolerance]) => tolerance - (value - centre).abs(),
        // From 0.0, so that equality gives 0 and not -0.
        Expect::Equals(wanted) => 0.0 - (value - wanted).abs(),
    }
}

/// The expectation in words.
pub(crate) fn words(expect: &Expect) -> String {
    match *expect {
        Expect::Above(bound) => format!("above {bound}"),
        Expect::Below(bound) => format!("below {bound}"),
        Expect::Within([centre, tolerance]) => format!("within {tolerance} of {centre}"),
        Expect::Equals(wanted) => format!("equal to {wanted}"),
        Expect::Increasing(0.0) => "each above the one before".to_owned(),
        Expect::Increasing(gap) => format!("each above the one before, by more than {gap}"),
        Expect::Decreasing(0.0) => "each below the one before".to_owned(),
        Expect::Decreasing(gap) => format!("each below the one before, by more than {gap}"),
    }
}

/// A number with up to four significant decimals, for sentences.
fn short(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
