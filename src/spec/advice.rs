//! Suggestions for values of the wrong kind.

use super::schema::{Field, Shape, Variant};
use super::structure::is_sound;
use super::tree::{Key, Node, Value};

/// What to write instead of `node` at `path`, which does not fit `shape`.
pub(super) fn of_value(node: &Node, shape: &Shape, path: &str) -> Option<String> {
    if let Some(text) = written(node, shape) {
        return Some(format!("write `{text}`"));
    }
    Some(match (shape, &node.value) {
        (Shape::Text, Value::Number(_) | Value::Bool(_)) => "put it in quotes".to_owned(),
        (Shape::List(..), Value::Number(number)) if path == "seeds" => {
            let count = number.as_u64().filter(|count| (1..=20).contains(count))?;
            format!("write `{}` for {count} seeds", list(0..count))
        }
        (Shape::List(item, _), Value::Map(_)) => match &**item {
            Shape::Record(fields) => format!(
                "each item begins with a dash: `- {}: …`",
                fields.first()?.name
            ),
            _ => return None,
        },
        (Shape::Record(_) | Shape::Map(_), Value::List(items)) => match items.first() {
            Some(item) if !item.entries().is_empty() => {
                let key = &item.entries()[0].0.name;
                format!("write its keys without dashes: `{key}: …`")
            }
            _ => "write keys and values: `key: value`".to_owned(),
        },
        (Shape::Integer(most), Value::Number(number)) => {
            let float = number.as_f64().unwrap_or_default();
            if float >= 0.0 && float.fract() == 0.0 && float < 1e15 && !number.is_u64() {
                format!("write it without point and exponent: `{float}`")
            } else if float > *most as f64 {
                format!("at most {most}")
            } else {
                return None;
            }
        }
        (Shape::Integer(_) | Shape::Either(_), Value::String(text)) if is_digits(text) => {
            format!("write `{text}`")
        }
        (Shape::Number, Value::String(text)) if text.parse().is_ok_and(f64::is_finite) => {
            "write it without quotes".to_owned()
        }
        _ => return None,
    })
}

/// The value in the form required by `shape`, if that is obvious.
fn written(node: &Node, shape: &Shape) -> Option<String> {
    match (shape, &node.value) {
        (Shape::Record(fields), _) => {
            let [field] = fields.as_slice() else {
                return None;
            };
            inside(field, node)
        }
        (Shape::List(_, Some(2)), Value::String(text)) => {
            let (centre, tolerance) = text.split_once('±').or_else(|| text.split_once("+-"))?;
            let both = [centre.trim(), tolerance.trim()];
            let is_number = |text: &&str| text.parse::<f64>().is_ok_and(f64::is_finite);
            both.iter()
                .all(is_number)
                .then(|| format!("[{}, {}]", both[0], both[1]))
        }
        (Shape::List(item, _), Value::String(text)) => match (&**item, range(text)) {
            (Shape::Integer(_), Some(range)) => Some(range),
            (Shape::Integer(_) | Shape::Number, None) if text.contains(',') => {
                let is_number = |part: &str| part.trim().parse::<f64>().is_ok_and(f64::is_finite);
                text.split(',').all(is_number).then(|| format!("[{text}]"))
            }
            _ => is_sound(node, item).then(|| format!("[{}]", flow(node))),
        },
        (Shape::Text, Value::List(items)) => match items.as_slice() {
            [only] => only.as_str().map(|_| flow(only)),
            _ => None,
        },
        (Shape::Bool, Value::String(text)) => match text.to_lowercase().as_str() {
            "yes" | "on" | "y" => Some("true".to_owned()),
            "no" | "off" | "n" => Some("false".to_owned()),
            _ => None,
        },
        (Shape::Choice(variants), Value::Number(_)) => {
            let takes = |variant: &&Variant| match &variant.shape {
                Some(shape) => is_sound(node, shape),
                None => false,
            };
            let one = variants.iter().find(takes)?;
            Some(format!("{{{}: {}}}", one.name, flow(node)))
        }
        (Shape::Nullable(shape), _) => written(node, shape),
        (Shape::Either(shapes), _) => shapes.iter().find_map(|shape| written(node, shape)),
        (Shape::Integer(_) | Shape::Number, Value::String(text)) => {
            let number = number_meant(text)?;
            let is_whole = number.fract() == 0.0 && (0.0..1e15).contains(&number);
            let fits = matches!(shape, Shape::Number) || is_whole;
            fits.then(|| number.to_string())
        }
        _ => None,
    }
}

/// Wraps a value that fits the inner field, as in `{every: …}`.
fn inside(field: &Field, node: &Node) -> Option<String> {
    let value = match is_sound(node, &field.shape) {
        true => flow(node),
        false => written(node, &field.shape)?,
    };
    Some(format!("{{{}: {value}}}", field.name))
}

/// The number meant by a text: `90%`, `0,8`, `4k`, `10_000`, `1/500`, `2*10^-3`.
fn number_meant(text: &str) -> Option<f64> {
    let plain = |text: &str| {
        let number: f64 = text.trim().parse().ok()?;
        let is_written = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
        (number.is_finite() && is_written).then_some(number)
    };
    let text = text.trim().replace('−', "-");
    if plain(&text).is_some() {
        return None; // A number in quotes.
    }
    let exact = |number: f64| format!("{number:.12e}").parse().ok();
    let is_grouped = |separator| {
        let mut groups = text.split(separator);
        let first = groups.next().unwrap_or_default();
        let mut rest = groups.peekable();
        rest.peek().is_some()
            && is_digits(first)
            && rest.all(|part| is_digits(part) && (part.len() == 3 || separator == '_'))
    };
    for separator in [',', '_', ' ', '\''] {
        // `0,002` is not a thousands group.
        if is_grouped(separator) && !text.starts_with('0') {
            return plain(&text.replace(separator, ""));
        }
    }
    if let Some(number) = text.strip_suffix('%') {
        return exact(plain(number.trim_end())? / 100.0);
    }
    if let Some(number) = text.strip_suffix(['k', 'K']) {
        return exact(plain(number)? * 1e3);
    }
    if let Some(number) = text.strip_suffix('M') {
        return exact(plain(number)? * 1e6);
    }
    if let Some((over, under)) = text.split_once('/') {
        let number = plain(over)? / plain(under.trim_start())?;
        return number.is_finite().then(|| exact(number))?;
    }
    if let Some((base, power)) = text.split_once('^').or_else(|| text.split_once("**")) {
        let (factor, base) = base
            .rsplit_once(['*', 'x', '·', '×'])
            .unwrap_or(("1", base));
        let power = power.trim_matches(|c| "(){} ".contains(c));
        return plain(&format!("{}e{power}", plain(factor.trim_end())?))
            .filter(|_| base.trim() == "10");
    }
    match text.matches(',').count() {
        1 => plain(&text.replace(',', ".")),
        _ => None,
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `0..2` and `0-2` as a list.
fn range(text: &str) -> Option<String> {
    let (first, last) = text.split_once("..").or_else(|| text.split_once('-'))?;
    let first: u64 = first.trim().parse().ok()?;
    let last: u64 = last.trim_start_matches(['.', '=']).trim().parse().ok()?;
    (first < last && last - first < 20).then(|| list(first..=last))
}

fn list(numbers: impl Iterator<Item = u64>) -> String {
    let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
    format!("[{}]", numbers.join(", "))
}

/// What to write for the values of the axis `path`, which are not a list.
pub(super) fn of_axis(path: &str, node: &Node) -> String {
    match &node.value {
        Value::Map(entries) => match entries.as_slice() {
            [(key, _), ..] => format!("name the whole path: `{path}.{}: [a, b]`", key.name),
            [] => "write `[a, b]`".to_owned(),
        },
        Value::String(text) if text.contains(',') => format!("write `[{text}]`"),
        Value::String(text) => match range(text) {
            Some(range) => format!("write `{range}`"),
            None => format!("write `[{}]`", flow(node)),
        },
        _ => format!("write `[{}]`", flow(node)),
    }
}

/// A decimal comma in braces, `{learning_rate: 0,002}`: YAML reads the decimals as a key, the one at `index`.
pub(super) fn of_comma(entries: &[(Key, Node)], index: usize) -> Option<String> {
    let (decimals, nothing) = entries.get(index)?;
    let (before, number) = entries.get(index.checked_sub(1)?)?;
    let is_cut = is_digits(&decimals.name)
        && matches!(nothing.value, Value::Null)
        && matches!(&number.value, Value::Number(number) if number.is_i64() || number.is_u64());
    let (key, whole) = (&before.name, number.to_json());
    is_cut.then(|| {
        format!(
            "a point stands before decimals: `{key}: {whole}.{}`",
            decimals.name
        )
    })
}

/// Common spellings of a claim's bounds.
const BOUNDS: [(&str, &[&str]); 4] = [
    (
        "above",
        &[">", ">=", "greater", "more", "larger", "gt", "min", "over"],
    ),
    (
        "below",
        &["<", "<=", "less", "lower", "smaller", "lt", "max", "under"],
    ),
    ("equals", &["=", "==", "equal", "is", "eq", "exactly"]),
    ("within", &["between", "about", "around", "approx", "near"]),
];

/// The variant probably meant by the unknown `name`.
pub(super) fn of_choice(name: &str, variants: &[Variant], path: &str) -> Option<String> {
    let known = |name: &str| variants.iter().any(|variant| variant.name == name);
    let (word, value) = match name.split_once([' ', '=', ':']) {
        Some((word, value)) if !word.is_empty() => (word, value.trim()),
        _ => {
            let digits = name
                .find(|c: char| c.is_ascii_digit())
                .unwrap_or(name.len());
            (name[..digits].trim(), name[digits..].trim())
        }
    };
    let bound = BOUNDS
        .iter()
        .find(|(bound, words)| known(bound) && (words.contains(&word) || *bound == word));
    if let Some((bound, _)) = bound {
        let value = if value.is_empty() { "…" } else { value };
        return Some(format!("write `{{{bound}: {value}}}`"));
    }
    let is_path = name.contains(['.', '/']) && !name.contains(' ');
    let ends = |end: &str| name.ends_with(end);
    let written = match path {
        _ if !is_path => return None,
        "data.corpus" if name.contains(".jsonl") => format!("{{jsonl: {{path: {name}}}}}"),
        "data.corpus" if name.contains(".json") => format!("{{json: {{path: {name}}}}}"),
        "data.corpus" if ends(".parquet") => format!("{{parquet: {{path: {name}}}}}"),
        "data.corpus" if ends("/") => format!("{{folder: {{path: {name}}}}}"),
        "data.corpus" if !ends(".bin") => format!("{{text: {{path: {name}}}}}"),
        "data.tokenizer" if ends(".json") => format!("{{file: {name}}}"),
        "data.tokenizer" if ends(".model") => format!("{{sentencepiece: {name}}}"),
        _ => return None,
    };
    Some(format!("write `{written}`"))
}

/// A value as written inside brackets, quoted if a string could be read otherwise.
fn flow(node: &Node) -> String {
    match &node.value {
        Value::String(text)
            if text.contains(|c: char| !c.is_alphanumeric() && !"_-./".contains(c)) =>
        {
            format!("{text:?}")
        }
        Value::String(text) => text.clone(),
        _ => node.to_json().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::number_meant;

    #[test]
    fn numbers_as_people_write_them() {
        for (text, number) in [
            ("90%", 0.9),
            ("10 %", 0.1),
            ("0,8", 0.8),
            ("0,002", 0.002),
            ("1,5", 1.5),
            ("4,000", 4000.0),
            ("10_000", 10_000.0),
            ("4 000", 4000.0),
            ("4k", 4000.0),
            ("1.5M", 1.5e6),
            ("1/500", 0.002),
            ("2*10^-3", 0.002),
            ("10^-3", 0.001),
            ("3 x 10^(-4)", 3e-4),
        ] {
            assert_eq!(number_meant(text), Some(number), "{text}");
        }
        for text in [
            "", "%", "16", "1e-3", "inf", "nan", "a,b", "1,2,3", "1/0", "k", "10^x", "x^2",
        ] {
            assert_eq!(number_meant(text), None, "{text}");
        }
    }
}
