//! The evidence of the runs for a measure: its value and, for each source of variation, an interval
//! and a p-value.
//!
//! | Source | What varies | Interval |
//! |---|---|---|
//! | seeds | the seeds common to all settings, averaged over draws | Student's t over the values; for `spread`, over the jackknife's pseudo-values, and for two settings no more certain than a permutation test of their seeds; for `trend`, with at least the error of randomly ordered lists |
//! | draws | other documents of the same source, averaged over seeds | Student's t over the values |
//! | pairs | the entries of a list of matched pairs | Student's t over the entries |
//! | documents | the held-out documents, resampled in pairs | the larger of the bootstrap and jackknife errors, with Student's t for the effective number of documents, given their unequal weights |
//!
//! All sources together decide a claim: each interval has to lie on one side, and the p-value is
//! the largest of them. No examined source can therefore be ignored, and the probability of a wrong
//! decision stays below that of each test.

use crate::expr::{ExprError, HeldOut, Measured, Prepared, Scope};
use crate::spec::{ClaimType, Expect};
use crate::stats;
use serde::Serialize;

/// Minimum number of seeds, or of draws of documents, for an interval.
const ENOUGH: usize = 3;
/// Minimum number of matched pairs for an interval.
const ENOUGH_PAIRS: usize = 5;
/// Minimum number of documents for an interval.
const ENOUGH_DOCUMENTS: usize = 10;
/// Number of exchanges in a permutation test, or all possible ones if there are fewer.
const EXCHANGES: u64 = 4096;
/// Maximum number of seeds for a permutation test.
const MOST_EXCHANGED: usize = 50;
/// Degrees of freedom at which Student's t is practically normal.
const NORMAL: usize = 1000;
/// Maximum p-value for a decision.
pub(super) const LEVEL: f64 = 0.05;

/// The source of a measure's variation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Seeds of training.
    Seeds,
    /// Draws of documents.
    Draws,
    /// Matched pairs of settings.
    Pairs,
    /// Held-out documents.
    Documents,
}

impl Source {
    /// Whether the source tells how much another training would differ; documents alone do not.
    fn decides(self) -> bool {
        self != Self::Documents
    }
}

/// The interval of a measure over one source of variation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SourceInterval {
    /// What varies.
    pub source: Source,
    /// Number of values that vary.
    pub n: usize,
    /// Lower end of the 95 % interval; for an equivalence, of the 90 % interval, which corresponds
    /// to two one-sided tests at 5 %.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// P-value of the decision that the measure suggests: that it is as expected, or that it is
    /// not.
    pub p: f64,
}

/// A number that is compared with the expectation: the measure, or a gap of an ordered list.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    pub(super) value: f64,
    pub(super) intervals: Vec<SourceInterval>,
}

/// All measured numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Evidence {
    pub(super) measured: Measured,
    /// The measure, or the gaps of an ordered list, starting with the narrowest.
    pub(super) parts: Vec<Part>,
    /// The value of the first part for each seed.
    pub(super) per_seed: Vec<(u64, f64)>,
}

/// A sample of a number over one source, from which its interval is computed.
struct Sample {
    source: Source,
    n: usize,
    mean: f64,
    /// Standard error of `mean`.
    error: f64,
    degrees: usize,
}

impl Sample {
    fn of(source: Source, values: &[f64]) -> Option<Self> {
        let spread = stats::sd(values)?;
        Some(Self {
            source,
            n: values.len(),
            mean: stats::mean(values)?,
            error: spread / (values.len() as f64).sqrt(),
            degrees: values.len() - 1,
        })
    }

    /// The same for rank correlations of `length` values each. Short lists easily agree by chance,
    /// so the error is at least large enough that the interval is no more certain than randomly
    /// ordered lists allow; for those, a correlation has the variance 1 / (length − 1).
    fn of_ranks(self, length: usize) -> Self {
        let (length, n) = (length.max(2) as f64, self.n as f64);
        let step = 12.0 / (length * (length * length - 1.0)) / n;
        let z = (self.mean.abs() - step / 2.0) * ((length - 1.0) * n).sqrt();
        self.no_surer_than(stats::upper_tail(z, NORMAL))
    }

    /// The same, with at least the error that gives this one-sided `tail` to a value at this
    /// distance from 0.
    fn no_surer_than(self, tail: f64) -> Self {
        let tail = tail.clamp(0.005, 0.1);
        let least = self.mean.abs() / stats::quantile(1.0 - tail, self.degrees);
        Self {
            error: self.error.max(least),
            ..self
        }
    }

    /// One-sided p-value for a true value above `bound`: `P(T > (mean − bound) / error)`.
    fn above(&self, bound: f64) -> f64 {
        let distance = self.mean - bound;
        if self.error <= f64::EPSILON * self.mean.abs().max(bound.abs()) {
            return f64::from(u8::from(distance <= 0.0));
        }
        stats::upper_tail(distance / self.error, self.degrees)
    }

    fn below(&self, bound: f64) -> f64 {
        1.0 - self.above(bound)
    }

    /// The p-values for a true value inside the expected region and for one outside it.
    fn p(&self, test: ClaimType, expect: &Expect) -> [f64; 2] {
        let two_sided = |p: f64| (2.0 * p).min(1.0);
        match *expect {
            Expect::Above(bound) | Expect::Increasing(bound) => {
                [self.above(bound), self.below(bound)].map(two_sided)
            }
            Expect::Below(bound) => [self.below(bound), self.above(bound)].map(two_sided),
            Expect::Decreasing(gap) => [self.below(-gap), self.above(-gap)].map(two_sided),
            Expect::Within([centre, tolerance]) => {
                let (low, high) = (centre - tolerance, centre + tolerance);
                let inside = self.above(low).max(self.below(high));
                let outside = self.below(low).min(self.above(high));
                let inside = match test {
                    ClaimType::Equivalence => inside,
                    _ => two_sided(inside),
                };
                [inside, two_sided(outside)]
            }
            Expect::Equals(_) => [1.0, 1.0],
        }
    }

    /// The interval, with the p-value of the decision that the measure is `inside` the expected
    /// region, or outside it.
    fn interval(&self, test: ClaimType, expect: &Expect, inside: bool) -> SourceInterval {
        let level = match test {
            ClaimType::Equivalence => 0.95,
            _ => 0.975,
        };
        let half = stats::quantile(level, self.degrees) * self.error;
        let [p_inside, p_outside] = self.p(test, expect);
        SourceInterval {
            source: self.source,
            n: self.n,
            low: self.mean - half,
            high: self.mean + half,
            p: if inside { p_inside } else { p_outside },
        }
    }
}

/// Measures `expression` in every available scope.
pub(super) fn gather(
    prepared: &Prepared<'_>,
    test: ClaimType,
    expect: &Expect,
) -> Result<Evidence, String> {
    let value = measured(prepared, Scope::Mean, "")?;
    let of_mean = statistics(&value, test)?;
    let mut samples: Vec<Vec<Sample>> = of_mean.iter().map(|_| Vec::new()).collect();
    let scopes = |source: Source| -> Vec<(Scope, String)> {
        let (numbers, scope, word): (&[u64], fn(u64) -> Scope, &str) = match source {
            Source::Seeds => (&value.seeds, Scope::Seed, "with seed"),
            Source::Draws => (&value.draws, Scope::Draw, "with draw"),
            Source::Pairs | Source::Documents => return Vec::new(),
        };
        let named = numbers.iter();
        named
            .map(|number| (scope(*number), format!("{word} {number}: ")))
            .collect()
    };
    let mut per_seed = Vec::new();
    if test == ClaimType::Spread {
        let pseudo = jackknife(prepared, &value.seeds, of_mean[0])?;
        let sample = pseudo.and_then(|values| Sample::of(Source::Seeds, &values));
        let checked = sample.map(|sample| {
            // A decision that the jackknife leaves open stays open.
            let is_decided = sample.p(test, expect).iter().any(|p| *p <= LEVEL);
            let exchanged = is_decided.then(|| exchange(prepared, &value, of_mean[0], expect));
            match exchanged.flatten() {
                Some(p) => sample.no_surer_than(p / 2.0),
                None => sample,
            }
        });
        samples[0].extend(checked);
    } else if test != ClaimType::Exact {
        for source in [Source::Seeds, Source::Draws] {
            let of_each = scopes(source)
                .into_iter()
                .map(|(scope, word)| statistics(&measured(prepared, scope, &word)?, test))
                .collect::<Result<Vec<_>, String>>()?;
            if source == Source::Seeds {
                per_seed = value.seeds.iter().copied().zip(of_each.clone()).collect();
            }
            if of_each.len() < ENOUGH {
                continue;
            }
            for (part, samples) in samples.iter_mut().enumerate() {
                let values: Option<Vec<f64>> =
                    of_each.iter().map(|each| each.get(part).copied()).collect();
                let sample = values.and_then(|values| Sample::of(source, &values));
                samples.extend(sample.map(|sample| match test {
                    ClaimType::Trend if value.is_list => sample.of_ranks(value.values.len()),
                    _ => sample,
                }));
            }
        }
        let is_of_pairs = value.is_list && !matches!(test, ClaimType::Order | ClaimType::Trend);
        if is_of_pairs && value.values.len() >= ENOUGH_PAIRS {
            samples[0].extend(Sample::of(Source::Pairs, &value.values));
        }
        if let Some(all) = value.documents.filter(|all| all.count >= ENOUGH_DOCUMENTS) {
            over_documents(prepared, test, (all, &of_mean), &mut samples);
        }
    }
    let mut parts: Vec<Part> = of_mean
        .iter()
        .zip(&samples)
        .map(|(value, samples)| {
            let inside = super::verdict::is_met(expect, *value);
            let intervals = samples.iter();
            Part {
                value: *value,
                intervals: intervals
                    .map(|sample| sample.interval(test, expect, inside))
                    .collect(),
            }
        })
        .collect();
    let narrowest = narrowest(&parts, expect);
    parts.swap(0, narrowest);
    let per_seed = per_seed.into_iter();
    Ok(Evidence {
        per_seed: per_seed
            .filter_map(|(seed, each)| Some((seed, *each.get(narrowest)?)))
            .collect(),
        measured: value,
        parts,
    })
}

/// The part that is nearest to its bound, or furthest on the wrong side.
fn narrowest(parts: &[Part], expect: &Expect) -> usize {
    let margin = |part: &Part| super::verdict::margin(expect, part.value);
    (0..parts.len())
        .min_by(|&a, &b| margin(&parts[a]).total_cmp(&margin(&parts[b])))
        .unwrap_or(0)
}

/// The tested numbers: the value, the mean of a list of pairs, the correlation of a trend, or all
/// gaps of an order.
fn statistics(value: &Measured, test: ClaimType) -> Result<Vec<f64>, String> {
    let list = &value.values;
    let numbers = match test {
        ClaimType::Order => {
            if list.len() < 2 {
                return Err("an order needs a list of two values or more".to_owned());
            }
            let later = |first: usize| {
                list[first + 1..]
                    .iter()
                    .map(move |later| later - list[first])
            };
            (0..list.len()).flat_map(later).collect()
        }
        ClaimType::Trend if value.is_list => {
            let places: Vec<f64> = (0..list.len()).map(|place| place as f64).collect();
            let correlation = crate::eval::curve::spearman(&places, list);
            vec![correlation.ok_or("a trend needs a list of different values")?]
        }
        _ => vec![stats::mean(list).ok_or("the measure is an empty list")?],
    };
    match numbers.iter().find(|number| !number.is_finite()) {
        None => Ok(numbers),
        Some(number) if number.is_nan() => Err("the measure is NaN".to_owned()),
        Some(_) => Err("the measure is infinite".to_owned()),
    }
}

fn measured(prepared: &Prepared<'_>, scope: Scope, place: &str) -> Result<Measured, String> {
    let told = |error: ExprError| match error.is_without_value() {
        true => format!("{place}{error}"),
        false => format!("{place}the measure cannot be evaluated: {error}"),
    };
    let mut all = prepared.measure(&[scope]).map_err(told)?;
    all.pop()
        .ok_or_else(|| "the measure has no value".to_owned())
}

/// Pseudo-values of the jackknife over seeds: n · θ − (n − 1) · (θ without the seed). `None` for
/// fewer than four seeds.
fn jackknife(prepared: &Prepared<'_>, seeds: &[u64], all: f64) -> Result<Option<Vec<f64>>, String> {
    if seeds.len() <= ENOUGH {
        return Ok(None);
    }
    let n = seeds.len() as f64;
    let mut pseudo = Vec::with_capacity(seeds.len());
    for seed in seeds {
        let without = measured(
            prepared,
            Scope::WithoutSeed(*seed),
            &format!("without seed {seed}: "),
        )?;
        let without = stats::mean(&without.values).unwrap_or(f64::NAN);
        if !without.is_finite() {
            return Err(format!("the measure is {without} without seed {seed}"));
        }
        pseudo.push(n * all - (n - 1.0) * without);
    }
    Ok(Some(pseudo))
}

/// P-value of a permutation test of two spreads: how often the measure is at least as far from 0
/// when the settings exchange their values for a subset of the seeds. Unlike the jackknife, it is
/// not misled by skewed noise.
///
/// `None` if the measure does not concern two settings, does not change its sign when they are
/// swapped, or is compared with a number other than 0; the jackknife then decides alone.
fn exchange(prepared: &Prepared<'_>, value: &Measured, all: f64, expect: &Expect) -> Option<f64> {
    let is_of_sign = matches!(expect, Expect::Above(bound) | Expect::Below(bound) if *bound == 0.0);
    let (settings, n) = (
        <[usize; 2]>::try_from(&value.settings[..]).ok()?,
        value.seeds.len(),
    );
    if !is_of_sign || !(ENOUGH + 1..=MOST_EXCHANGED).contains(&n) {
        return None;
    }
    let measure = |seeds: u64| {
        let scope = Scope::Exchanged { settings, seeds };
        let measured = measured(prepared, scope, "").ok()?;
        stats::mean(&measured.values)
    };
    let every = (1u64 << n) - 1;
    if (measure(every)? + all).abs() > 1e-9 * all.abs() {
        return None;
    }
    let exchanges = crate::expr::exchanges(n, EXCHANGES);
    let is_as_far = |seeds: &&u64| {
        let value = measure(**seeds);
        value.is_none_or(|value| value.is_nan() || value.abs() >= all.abs() * (1.0 - 1e-12))
    };
    Some(exchanges.iter().filter(is_as_far).count() as f64 / exchanges.len() as f64)
}

/// Adds the sample over held-out documents to each part.
fn over_documents(
    prepared: &Prepared<'_>,
    test: ClaimType,
    (all, values): (HeldOut, &[f64]),
    samples: &mut [Vec<Sample>],
) {
    let measure = |scopes: &[Scope]| {
        let measured = prepared.measure(scopes).ok()?;
        let each = measured.iter().map(|value| statistics(value, test).ok());
        each.collect()
    };
    let errors = all.errors(measure).unwrap_or_default();
    for ((samples, error), value) in samples.iter_mut().zip(errors).zip(values) {
        samples.push(Sample {
            source: Source::Documents,
            n: all.count,
            mean: *value,
            error,
            degrees: all.degrees(),
        });
    }
}

impl Part {
    /// Whether any source of variation tells how much another training would differ.
    pub(super) fn is_tested(&self) -> bool {
        self.intervals
            .iter()
            .any(|interval| interval.source.decides())
    }

    /// The largest p-value over the sources.
    pub(super) fn p(&self) -> Option<f64> {
        self.is_tested().then(|| {
            let p = self.intervals.iter().map(|interval| interval.p);
            p.fold(0.0, f64::max)
        })
    }
}
