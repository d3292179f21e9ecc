//! References in claims: their needs and their measures.

use super::Refs;
use crate::digest::Sha256Hex;
use crate::spec::error::Problem;
use crate::spec::{Claim, ClaimType, Expect, Needs};

/// Kinds of data that a claim may need: an embedded corpus, or files. It may also name a digest.
const DATA: [&str; 3] = ["stories", "documents", "files"];

/// Allowed forms of `expect`.
const EXPECT: &str = "`{above: x}`, `{below: x}`, `{within: [centre, tolerance]}`, `{equals: x}`, `{increasing: gap}`, `{decreasing: gap}`";

impl Refs<'_> {
    /// Checks one claim.
    pub(super) fn claim(&mut self, index: usize, claim: &Claim) {
        let id = &claim.id;
        if id.is_empty() || id.chars().any(|c| c.is_whitespace() || c.is_control()) {
            let problem = Problem::new("a claim needs an id without spaces, such as `EF-3`");
            self.push("claims", index, &["id"], problem);
        }
        if claim.says.trim().is_empty() {
            let problem = Problem::new(format!("the claim `{id}` has no statement"));
            self.push("claims", index, &["says"], problem);
        }
        self.measure_and_expect(index, claim);
        self.expect_of_type(index, claim);
        if let Some(data) = &claim.needs.data
            && !DATA.contains(&data.as_str())
            && Sha256Hex::parse(data).is_none()
        {
            let message =
                format!("the claim `{id}` needs the data `{data}`, which no run can have");
            let problem = Problem::new(message).choices(data, DATA);
            self.push("claims", index, &["needs", "data"], problem);
        }
        for (at, profile) in claim.needs.profiles.iter().enumerate() {
            if !self.profiles.contains(profile) {
                let known = self.profiles.iter().map(String::as_str);
                let message =
                    format!("the claim `{id}` needs a profile `{profile}`, which does not exist");
                let problem = Problem::new(message).choices(profile, known);
                let path = ["needs", "profiles", &at.to_string()];
                self.push("claims", index, &path, problem);
            }
        }
    }

    /// Each type of test takes its own kinds of bounds.
    fn expect_of_type(&mut self, index: usize, claim: &Claim) {
        let Some(expect) = claim.expect else { return };
        let (fits, allowed) = match claim.test {
            ClaimType::Order => (
                matches!(expect, Expect::Increasing(_) | Expect::Decreasing(_)),
                "`{increasing: gap}` or `{decreasing: gap}`",
            ),
            ClaimType::Equivalence | ClaimType::Within => (
                matches!(expect, Expect::Within(_)),
                "`{within: [centre, tolerance]}`",
            ),
            _ => (
                !matches!(expect, Expect::Increasing(_) | Expect::Decreasing(_)),
                "`{above: x}`, `{below: x}`, `{within: [centre, tolerance]}` or `{equals: x}`",
            ),
        };
        if !fits {
            let message = format!(
                "the claim `{}` is of the type `{}`, which cannot be tested against this `expect`",
                claim.id, claim.test
            );
            self.push(
                "claims",
                index,
                &["expect"],
                Problem::new(message).allowed(allowed),
            );
        }
    }

    /// `measure` and `expect` belong together; without them, something else must decide the claim.
    fn measure_and_expect(&mut self, index: usize, claim: &Claim) {
        let id = &claim.id;
        let mut push = |path: &[&str], problem: Problem| self.push("claims", index, path, problem);
        match (&claim.measure, &claim.expect) {
            (Some(_), None) => {
                let message = format!("the claim `{id}` has a `measure` but no `expect`");
                push(&["measure"], Problem::new(message).allowed(EXPECT));
            }
            (None, Some(_)) => {
                let message = format!("the claim `{id}` has an `expect` but no `measure`");
                let hint = "write `measure:` with an expression that gives one number";
                push(&["expect"], Problem::new(message).hint(hint));
            }
            (None, None) if claim.inconsistent.is_none() && claim.needs == Needs::default() => {
                let problem = Problem::new(format!("nothing decides the claim `{id}`"));
                let hint = "write `measure` and `expect`, `inconsistent: why`, or `needs: {reading: true}`";
                push(&[], problem.hint(hint));
            }
            _ => {}
        }
        let is_blank = |measure: &String| measure.trim().is_empty();
        if claim.measure.as_ref().is_some_and(is_blank) {
            let message = format!("the `measure` of the claim `{id}` is empty");
            push(&["measure"], Problem::new(message));
        }
        if let Some(Expect::Within([_, tolerance])) = claim.expect
            && tolerance < 0.0
        {
            let problem = Problem::new(format!("the tolerance {tolerance} is below 0"));
            push(
                &["expect", "within", "1"],
                problem.allowed("`within: [centre, tolerance]`"),
            );
        }
    }
}
