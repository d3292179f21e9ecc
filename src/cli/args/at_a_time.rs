//! The number of runs trained at once.

/// The requested number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtATime {
    /// At most this many.
    Number(u16),
    /// As many as cores and memory allow.
    Auto,
}

/// Runs that need more memory than this use all cores one after the other, unless asked otherwise.
const SMALL: u64 = 256 << 20;

impl AtATime {
    /// `asked`, or else `Auto` for small runs and one at a time for large ones and on a GPU, where `free` is unknown.
    pub(crate) fn or_by_size(asked: Option<Self>, largest: u64, free: Option<u64>) -> Self {
        asked.unwrap_or(match free {
            Some(_) if largest <= SMALL => Self::Auto,
            _ => Self::Number(1),
        })
    }

    /// The number of `open` runs to train at once on `threads` cores with `free` bytes of memory,
    /// if the largest run needs `largest` bytes.
    pub(crate) fn number(
        self,
        threads: usize,
        open: usize,
        largest: u64,
        free: Option<u64>,
    ) -> usize {
        match self {
            Self::Number(number) => usize::from(number),
            Self::Auto => {
                let fit = free.map_or(usize::MAX, |free| (free / largest.max(1)) as usize);
                threads.min(open).min(fit).clamp(1, MOST_AT_A_TIME.into())
            }
        }
    }
}

const MOST_AT_A_TIME: u16 = 256;

pub(super) fn at_a_time(text: &str) -> Result<AtATime, String> {
    match (text, text.parse()) {
        ("auto", _) => Ok(AtATime::Auto),
        (_, Ok(number @ 1..=MOST_AT_A_TIME)) => Ok(AtATime::Number(number)),
        _ => Err(format!(
            "expected `auto` or a number from 1 to {MOST_AT_A_TIME}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_at_a_time_fit_cores_memory_and_their_size() {
        let number = |threads, open, free| AtATime::Auto.number(threads, open, 100, free);
        assert_eq!(number(8, 36, Some(10_000)), 8);
        assert_eq!(number(8, 3, Some(10_000)), 3);
        assert_eq!(number(8, 36, Some(350)), 3);
        assert_eq!(number(8, 36, Some(50)), 1, "one always starts");
        assert_eq!(number(8, 0, None), 1);
        let by_size = |largest, free| AtATime::or_by_size(None, largest, free);
        assert_eq!(by_size(SMALL, Some(1 << 30)), AtATime::Auto);
        assert_eq!(by_size(SMALL + 1, Some(1 << 40)), AtATime::Number(1));
        assert_eq!(by_size(1, None), AtATime::Number(1), "on a GPU");
        let two = AtATime::Number(2);
        assert_eq!(AtATime::or_by_size(Some(two), SMALL + 1, None), two);
        assert_eq!(at_a_time("auto"), Ok(AtATime::Auto));
        assert_eq!(at_a_time("2"), Ok(AtATime::Number(2)));
        assert!(at_a_time("0").is_err() && at_a_time("257").is_err());
    }
}
