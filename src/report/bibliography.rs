//! Citations: the entries of a BibTeX file, short in the text and in full in the list of
//! references.

use super::text::one_line;
use biblatex::{Bibliography as Parsed, ChunksExt as _, Entry};

/// The works that a report may cite.
#[derive(Debug, Default)]
pub(crate) struct Bibliography {
    entries: Vec<Work>,
}

/// A citable work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) key: String,
    /// Its citation in the text: `Hui et al. 2023`.
    pub(crate) short: String,
    /// Authors, year, title and place.
    pub(crate) long: String,
    /// Where to read it; may be empty.
    pub(crate) address: String,
}

impl Bibliography {
    /// Reads a BibTeX file.
    ///
    /// # Errors
    /// A message that describes what cannot be parsed.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let parsed = Parsed::parse(text).map_err(|error| error.to_string())?;
        Ok(Self {
            entries: parsed.iter().map(work).collect(),
        })
    }

    /// The keys of all works.
    pub(crate) fn keys(&self) -> Vec<&str> {
        self.entries.iter().map(|work| work.key.as_str()).collect()
    }

    /// Whether there are works besides the study that the spec reruns.
    pub(crate) fn has_file(&self) -> bool {
        self.entries.iter().any(|work| work.key != "source")
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Work> {
        self.entries.iter().find(|work| work.key == key)
    }

    /// Adds the study that the spec reruns under the key `source`.
    pub(crate) fn add_source(&mut self, study: &str) {
        if !study.is_empty() && self.get("source").is_none() {
            self.entries.push(Work {
                key: "source".to_owned(),
                short: "the study".to_owned(),
                long: one_line(study),
                address: String::new(),
            });
        }
    }
}

fn work(entry: &Entry) -> Work {
    let field = |names: &[&str]| {
        let found = names.iter().find_map(|name| entry.get(name));
        found
            .map(|chunks| one_line(&chunks.format_verbatim()))
            .unwrap_or_default()
    };
    let people = entry.author().unwrap_or_default();
    let family: Vec<&str> = people.iter().map(|person| person.name.as_str()).collect();
    let short = match family.as_slice() {
        [] => field(&["title"]),
        [one] => (*one).to_owned(),
        [one, two] => format!("{one} and {two}"),
        [one, ..] => format!("{one} et al."),
    };
    let whole: Vec<String> = people
        .iter()
        .map(|person| one_line(&format!("{} {}", person.given_name, person.name)))
        .collect();
    let year: String = field(&["year", "date"]).chars().take(4).collect();
    let place = field(&[
        "journal",
        "journaltitle",
        "booktitle",
        "publisher",
        "howpublished",
        "institution",
    ]);
    let eprint = field(&["eprint"]);
    let doi = field(&["doi"]);
    let address = match (doi.is_empty(), eprint.is_empty()) {
        (false, _) => format!("https://doi.org/{doi}"),
        (true, false) => format!("https://arxiv.org/abs/{eprint}"),
        (true, true) => field(&["url"]),
    };
    let parts = [whole.join(", "), field(&["title"]), place, year.clone()];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    Work {
        key: entry.key.clone(),
        short: one_line(&format!("{short} {year}")),
        long: parts.join(". ") + ".",
        address,
    }
}

#[cfg(test)]
mod tests {
    use super::Bibliography;

    #[test]
    fn works_are_short_in_the_text_and_whole_in_the_list() {
        let text = "@article{hui, author = {Hui, Like and Belkin, Mikhail and Wright, Stephen}, title = {Cut your losses}, year = {2023}, eprint = {2302.03952}}";
        let works = Bibliography::parse(text).unwrap();
        let hui = works.get("hui").unwrap();
        assert_eq!(hui.short, "Hui et al. 2023");
        assert_eq!(
            hui.long,
            "Like Hui, Mikhail Belkin, Stephen Wright. Cut your losses. 2023."
        );
        assert_eq!(hui.address, "https://arxiv.org/abs/2302.03952");
        assert!(Bibliography::parse("@article{x, title = {").is_err());
    }
}
