//! The last pass over generated prose: capitals, `a` and `an`, spaces, doubled words.

/// Prose ready to read: sentence starts in capitals, `a`/`an` by the sound that follows, single spaces, no word twice in a
/// row. `^` asks for a capital and disappears.
pub(super) fn finish(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len() + 8);
    let mut capital = true;
    let mut quoted = false;
    let mut previous = (0, 0); // the last word in `out`, if followed by exactly one space
    let bytes = raw.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let c = bytes[at];
        if c.is_ascii_alphabetic() || c >= 0x80 {
            let end = word_end(bytes, at);
            let word = &raw[at..end];
            let before = &out[previous.0..previous.1];
            let joined = previous.1 > 0 && previous.1 + 1 == out.len() && out.ends_with(' ');
            let article =
                joined && (before.eq_ignore_ascii_case("a") || before.eq_ignore_ascii_case("an"));
            if joined && !capital && before.eq_ignore_ascii_case(word) {
                out.truncate(previous.1);
            } else {
                if article {
                    let tail = if sounds_as_vowel(word) { "n " } else { " " };
                    out.truncate(previous.0 + 1);
                    out.push_str(tail);
                }
                let start = out.len();
                push_word(&mut out, word, capital);
                previous = (start, out.len());
            }
            capital = false;
            at = end;
            continue;
        }
        match c {
            b'^' => capital = true,
            b' ' => {
                let skip = out.is_empty() || out.ends_with([' ', '\n']);
                if !skip {
                    out.push(' ');
                }
            }
            b'\n' => {
                out.truncate(out.trim_end_matches(' ').len());
                out.push('\n');
                capital = true;
                quoted = false;
            }
            b'"' => {
                quoted = !quoted;
                out.push('"');
                capital = quoted || out.ends_with(".\"");
            }
            b',' | b'.' | b'!' | b'?' | b';' | b':' => {
                if out.ends_with(' ') {
                    out.pop();
                }
                out.push(c as char);
                // A full stop inside a number or a name (`3.5`, `a.b`) is not followed by a space and does not end a
                // sentence.
                let next = bytes.get(at + 1).copied().unwrap_or(b' ');
                if matches!(c, b'.' | b'!' | b'?') && matches!(next, b' ' | b'^' | b'\n') {
                    capital = true;
                }
            }
            _ => {
                if c.is_ascii_digit() {
                    capital = false;
                }
                out.push(c as char);
            }
        }
        at += 1;
    }
    out.truncate(out.trim_end().len());
    out
}

fn word_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() && (bytes[at].is_ascii_alphabetic() || bytes[at] >= 0x80) {
        at += 1;
    }
    at
}

fn push_word(out: &mut String, word: &str, capital: bool) {
    let mut chars = word.chars();
    match chars.next() {
        Some(first) if capital => {
            out.extend(first.to_uppercase());
            out.push_str(chars.as_str());
        }
        _ => out.push_str(word),
    }
}

/// Whether `word` starts with the sound of a vowel.
pub(super) fn sounds_as_vowel(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| lower.starts_with(prefix));
    if word.len() > 1 && word.bytes().all(|b| b.is_ascii_uppercase()) {
        // Spelled letter by letter: an HTML page, a URL.
        return matches!(
            lower.as_bytes()[0],
            b'a' | b'e' | b'f' | b'h' | b'i' | b'l' | b'm' | b'n' | b'o' | b'r' | b's' | b'x'
        );
    }
    if starts(&["hour", "honest", "honour", "heir"]) {
        return true;
    }
    if starts(&[
        "uni", "use", "usu", "uti", "eu", "one", "once", "ubiq", "ura",
    ]) {
        return starts(&["unin", "unim", "unid"]);
    }
    matches!(
        lower.as_bytes().first(),
        Some(b'a' | b'e' | b'i' | b'o' | b'u')
    )
}
