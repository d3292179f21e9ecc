//! Words of a command line, quoted for a POSIX shell. The result is always text that a terminal shows as it is: bytes
//! and characters that it could not show are written by `printf`, so a command copied from a page, a terminal or a
//! job file names the same file.

use crate::human::is_hidden;
use std::ffi::OsStr;
use std::path::Path;

/// A command line.
pub(crate) fn line(words: &[impl AsRef<OsStr>]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| quoted(word.as_ref())).collect();
    quoted.join(" ")
}

/// A path in a command for this system, whose shell on Windows knows other quotes and takes backslashes as they are.
pub(crate) fn path(path: &Path) -> String {
    let text = path.display().to_string();
    match (cfg!(windows), text.contains(' ')) {
        (false, _) => quoted(path.as_os_str()),
        (true, true) => format!("\"{text}\""),
        (true, false) => text,
    }
}

/// One word.
pub(crate) fn quoted(word: &OsStr) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-+=./:,@%".contains(c);
    if word.is_empty() {
        return "''".to_owned();
    }
    if let Some(text) = word.to_str().filter(|text| text.chars().all(plain)) {
        return text.to_owned();
    }
    let mut quoted = String::new();
    for chunk in word.as_encoded_bytes().utf8_chunks() {
        for part in chunk.valid().split_inclusive(is_hidden) {
            let (text, hidden) = part.split_at(part.find(is_hidden).unwrap_or(part.len()));
            if !text.is_empty() {
                quoted.extend(["'", &text.replace('\'', r"'\''"), "'"]);
            }
            quoted += &printed(hidden.as_bytes());
        }
        quoted += &printed(chunk.invalid());
    }
    quoted
}

/// Bytes as the output of a command; empty for none.
fn printed(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return String::new();
    }
    let octal: String = bytes.iter().map(|byte| format!("\\{byte:03o}")).collect();
    format!("\"$(printf '{octal}')\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_stay_and_others_are_quoted() {
        let words = [
            "a/b-1.yaml",
            "dim=16",
            "",
            "two words",
            "it's",
            "$HOME",
            "é",
            "a\nb",
        ];
        insta::assert_snapshot!(line(&words), @r"
        a/b-1.yaml dim=16 '' 'two words' 'it'\''s' '$HOME' é 'a
        b'
        ");
    }

    #[cfg(unix)]
    #[test]
    fn a_shell_reads_every_word_as_it_was() {
        use std::os::unix::ffi::OsStrExt as _;
        let words = [
            &b"caf\xe9"[..],
            b"\xff\xfe",
            b"\xe9'\xc3\xa9 \"$(date)\" `date` \\ \\351 %d !",
            b"\x1b[31mred\x07\t\x7f",
            "\u{202e}fdp".as_bytes(),
            b"line\nend\n",
            b"*",
            b"~",
            b"-n",
        ]
        .map(OsStr::from_bytes);
        let text = line(&words);
        insta::assert_snapshot!(line(&words[..1]), @r#"'caf'"$(printf '\351')""#);
        assert!(!text.contains(is_hidden), "{text}");
        let script = format!("printf '%s\\0' {text}");
        let ran = std::process::Command::new("sh")
            .args(["-c", &script])
            .output();
        let read = ran.unwrap().stdout;
        let read: Vec<&[u8]> = read.split(|byte| *byte == 0).collect();
        let wanted: Vec<&[u8]> = words
            .iter()
            .map(|word| word.as_bytes())
            .chain([&b""[..]])
            .collect();
        assert_eq!(read, wanted);
    }
}
