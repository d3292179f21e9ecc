//! CSV according to RFC 4180, but with line feeds.

/// A field, quoted if necessary. A text that a spreadsheet would read as a formula is prefixed with
/// an apostrophe; numbers stay numbers.
pub(crate) fn field(text: &str) -> String {
    let is_formula =
        text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err();
    let guarded = if is_formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if guarded.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", guarded.replace('"', "\"\""))
    } else {
        guarded
    }
}

pub(crate) fn line<'a>(fields: impl IntoIterator<Item = &'a str>) -> String {
    let mut line = fields.into_iter().map(field).collect::<Vec<_>>().join(",");
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        let texts = [
            "=1+1", "-sum(a)", "+x", "@a,b", "-0.5", "+1e-3", "\ta", "a=b",
        ];
        assert_eq!(
            line(texts),
            "'=1+1,'-sum(a),'+x,\"'@a,b\",-0.5,+1e-3,'\ta,a=b\n"
        );
    }
}
