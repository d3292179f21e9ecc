//! Reports: from a spec and its results to Markdown, HTML and data files.
