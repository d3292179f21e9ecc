//! Human-readable numbers: sensible digits, thousands separators, units; the same on the terminal and in reports. Pure
//! functions of the number, independent of locale.

/// The minus sign of typeset numbers.
const MINUS: char = '\u{2212}';

/// Sorts names by similarity to the written one: those that contain it, then those with similar spelling; ties keep
/// their order.
pub(crate) fn likest_first(names: &mut [impl AsRef<str>], written: &str) {
    let likeness = |name: &str| {
        strsim::jaro_winkler(name, written) + f64::from(u8::from(name.contains(written)))
    };
    names.sort_by(|a, b| likeness(b.as_ref()).total_cmp(&likeness(a.as_ref())));
}

/// Whether a terminal acts on a character instead of showing it: control characters except line ends and tabs, and
/// those that reverse the direction of writing.
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t'
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A count with thousands separators: `12,345`.
pub(crate) fn count(n: u64) -> String {
    group(&n.to_string())
}

/// A count with its noun: `1 run`, `2,000 runs`.
pub(crate) fn counted(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(n), if n == 1 { "" } else { "s" })
}

/// Puts commas between groups of three digits.
fn group(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Formats `x` with a number of decimals, a typographic minus and thousands separators.
pub(crate) fn fixed(x: f64, decimals: usize) -> String {
    with_decimals(x, decimals, group)
}

/// As [`fixed`], without thousands separators.
pub(crate) fn ungrouped(x: f64, decimals: usize) -> String {
    with_decimals(x, decimals, str::to_owned)
}

fn with_decimals(x: f64, decimals: usize, whole_part: fn(&str) -> String) -> String {
    if x.is_nan() {
        return "not a number".to_owned();
    }
    let decimals = decimals.min(17);
    let text = match x.is_infinite() {
        true => "∞".to_owned(),
        false => format!("{:.decimals$}", x.abs()),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text.as_str(), ""));
    let is_zero = text.chars().all(|c| c == '0' || c == '.');
    let mut out = String::new();
    if x < 0.0 && !is_zero {
        out.push(MINUS);
    }
    out.push_str(&if x.is_infinite() {
        whole.to_owned()
    } else {
        whole_part(whole)
    });
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// The decimal exponent of `x`: 0 for 1 ≤ |x| < 10. Computed by printing, so that every platform agrees.
pub(crate) fn exponent(x: f64) -> i32 {
    let text = format!("{x:e}");
    text.split_once('e')
        .and_then(|(_, exponent)| exponent.parse().ok())
        .unwrap_or(0)
}

/// Formats `x` with a number of significant digits: `0.0123`, `5.018`, `12,300`, `1.2×10⁻⁶`.
pub(crate) fn significant(x: f64, digits: usize) -> String {
    if x == 0.0 || !x.is_finite() {
        return fixed(x, 0);
    }
    let rounded: f64 = format!("{x:.*e}", digits.saturating_sub(1))
        .parse()
        .unwrap_or(x);
    let exponent = exponent(rounded);
    if !(-4..9).contains(&exponent) {
        let mantissa = format!("{:.*e}", digits.saturating_sub(1), rounded.abs());
        let mantissa = mantissa.split('e').next().unwrap_or_default();
        let mantissa = if mantissa.contains('.') {
            mantissa.trim_end_matches('0').trim_end_matches('.')
        } else {
            mantissa
        };
        let sign = if x < 0.0 { "\u{2212}" } else { "" };
        return format!("{sign}{mantissa}×10{}", superscript(exponent));
    }
    let decimals = usize::try_from(digits as i32 - 1 - exponent).unwrap_or(0);
    fixed(rounded, decimals)
}

/// As [`significant`], without trailing zeros in the fraction: for settings and tick labels.
pub(crate) fn plain(x: f64, digits: usize) -> String {
    let text = significant(x, digits);
    if text.contains('.') && !text.contains('×') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

fn superscript(number: i32) -> String {
    number
        .to_string()
        .chars()
        .map(|c| match c {
            '-' => '⁻',
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            '0' => '⁰',
            c => char::from_u32('⁰' as u32 + c as u32 - '0' as u32).unwrap_or(c),
        })
        .collect()
}

/// A mean and the half-width of its interval, with two significant digits of the latter: `("5.018", "0.034")`.
pub(crate) fn with_half_width(mean: f64, half_width: f64) -> (String, String) {
    if !half_width.is_finite() || half_width <= 0.0 {
        return (significant(mean, 4), fixed(half_width, 0));
    }
    let rounded: f64 = format!("{half_width:.1e}").parse().unwrap_or(half_width);
    let decimals = usize::try_from(1 - exponent(rounded)).unwrap_or(0).min(6);
    (fixed(mean, decimals), fixed(half_width, decimals))
}

/// A large number with an SI prefix: `9.9 M`, `1.25 k`; below 10,000 as [`count`].
pub(crate) fn scaled(x: f64) -> String {
    const STEPS: [(f64, &str); 5] = [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    if x.abs() < 10_000.0 {
        return plain(x, 4);
    }
    let (step, prefix) = STEPS
        .into_iter()
        .find(|(step, _)| x.abs() >= *step)
        .unwrap_or((1.0, ""));
    format!("{}\u{a0}{prefix}", plain(x / step, 3))
}

/// As [`scaled`], for tick labels: `20k`, `1.5M`.
pub(crate) fn scaled_short(x: f64) -> String {
    if x.abs() >= 1e3 && x.abs() < 1e4 {
        return format!("{}k", plain(x / 1e3, 3));
    }
    scaled(x).replace('\u{a0}', "")
}

/// Bytes in binary units: `12.3 MiB`.
pub(crate) fn bytes(value: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut scaled = value as f64;
    let mut unit = 0;
    while scaled >= 1024.0 && unit + 1 < units.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{value} B")
    } else {
        format!("{scaled:.1} {}", units[unit])
    }
}

/// A duration given in seconds.
pub(crate) fn seconds(value: f64) -> String {
    match value {
        value if value < 0.1 => format!("{:.0} ms", value * 1000.0),
        value if value < 100.0 => format!("{value:.1} s"),
        value if value < 5400.0 => format!("{:.0} min", value / 60.0),
        value => format!("{:.1} h", value / 3600.0),
    }
}

/// A number of floating-point operations.
pub(crate) fn flops(value: f64) -> String {
    let units = [("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6)];
    match units.iter().find(|(_, size)| value >= *size) {
        Some((unit, size)) => format!("{:.1} {unit}FLOP", value / size),
        None => format!("{value:.0} FLOP"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_separators_and_signs() {
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(fixed(-0.0004, 3), "0.000");
        assert_eq!(fixed(-1234.5, 1), "\u{2212}1,234.5");
        assert_eq!(significant(5.01849, 4), "5.018");
        assert_eq!(significant(0.0012345, 3), "0.00123");
        assert_eq!(significant(9.9996, 4), "10.00");
        assert_eq!(significant(1.23e-6, 2), "1.2×10⁻⁶");
        assert_eq!(significant(2e12, 3), "2×10¹²");
        assert_eq!(plain(0.5, 4), "0.5");
        assert_eq!(plain(1200.0, 4), "1,200");
        assert_eq!(fixed(f64::INFINITY, 2), "∞");
        assert_eq!(ungrouped(-1234.5, 1), "\u{2212}1234.5");
    }

    #[test]
    fn units() {
        assert_eq!(scaled(9_898_112.0), "9.9\u{a0}M");
        assert_eq!(scaled(2500.0), "2,500");
        assert_eq!(bytes(12), "12 B");
        assert_eq!(
            (bytes(1536), bytes(5 << 30)),
            ("1.5 KiB".into(), "5.0 GiB".into())
        );
        assert_eq!(
            (seconds(0.012), seconds(3.26), seconds(600.0)),
            ("12 ms".into(), "3.3 s".into(), "10 min".into())
        );
        assert_eq!(flops(2.5e12), "2.5 TFLOP");
    }

    #[test]
    fn half_widths_decide_the_digits() {
        assert_eq!(
            with_half_width(5.01849, 0.0342),
            ("5.018".into(), "0.034".into())
        );
        assert_eq!(with_half_width(412.7, 35.2), ("413".into(), "35".into()));
        assert_eq!(with_half_width(5.0, 0.0996), ("5.00".into(), "0.10".into()));
    }
}
