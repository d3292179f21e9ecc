//! The metadata at the end of a file: locates the column of a field, one chunk per row group.

use super::thrift::{Reader, Struct};
use super::{BYTE_ARRAY, Fault, damaged, unread};

/// Maximum nesting of fields.
const DEEPEST: usize = 100;
/// Maximum number of names listed in a message.
const LISTED: usize = 6;
/// Physical types by number.
const TYPES: [&str; 8] = [
    "truth values",
    "whole numbers",
    "whole numbers",
    "times",
    "numbers",
    "numbers",
    "texts",
    "bytes of one length",
];

/// The column of a field.
#[derive(Debug)]
pub(super) struct Column {
    /// The definition level of a value; lower levels are nulls.
    pub(super) whole: u32,
    /// Its chunks, one per row group.
    pub(super) chunks: Vec<Chunk>,
}

/// The chunk of a column in a row group.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Its first byte in the file.
    pub(super) start: u64,
    /// One past its last byte.
    pub(super) end: u64,
    /// Compression codec.
    pub(super) codec: i64,
    /// Number of values, including nulls.
    pub(super) values: u64,
}

/// A field that holds values.
struct Leaf {
    path: String,
    kind: i64,
    whole: u32,
    is_list: bool,
}

/// Finds the column `field` in the metadata of a file of `length` bytes.
pub(super) fn find(description: &[u8], field: &str, length: u64) -> Result<Column, Fault> {
    let file = Reader::new(description).structure()?;
    if file.structure(8).is_some() {
        return unread("it is encrypted");
    }
    let leaves = leaves(&file)?;
    let Some(leaf) = leaves.iter().find(|leaf| leaf.path == field) else {
        let names = leaves.iter().take(LISTED);
        let names =
            names.map(|leaf| format!("`{}`", leaf.path.chars().take(40).collect::<String>()));
        let names: Vec<String> = names.collect();
        return unread(match names.len() {
            0 => "it has no columns".to_owned(),
            _ => format!("it has no column `{field}`, only {}", names.join(", ")),
        });
    };
    if leaf.is_list {
        return unread(format!(
            "the column `{field}` holds lists, not one text per row"
        ));
    }
    if leaf.kind != BYTE_ARRAY {
        let kind = usize::try_from(leaf.kind)
            .ok()
            .and_then(|kind| TYPES.get(kind));
        let kind = kind.unwrap_or(&"something else");
        return unread(format!("the column `{field}` holds {kind}, not texts"));
    }
    let mut chunks = Vec::new();
    for group in file.structures(4) {
        chunks.push(chunk(group, field, length)?);
    }
    Ok(Column {
        whole: leaf.whole,
        chunks,
    })
}

fn chunk(group: &Struct<'_>, field: &str, length: u64) -> Result<Chunk, Fault> {
    let mut columns = group.structures(1);
    let columns = columns.find_map(|column| {
        let found = column.structure(3)?;
        (found.dotted(3) == field).then_some((column, found))
    });
    let Some((outer, column)) = columns else {
        return damaged(format!("a row group has no column `{field}`"));
    };
    if !outer.text(1).is_empty() {
        return unread("its values lie in other files");
    }
    let data = column.size(9, "the place of a column")? as u64;
    let dictionary = column.int(11).and_then(|at| u64::try_from(at).ok());
    let start = dictionary
        .filter(|at| *at > 0)
        .map_or(data, |at| at.min(data));
    let end = start.checked_add(column.size(7, "the length of a column")? as u64);
    match end {
        Some(end) if end <= length => Ok(Chunk {
            start,
            end,
            codec: column.int(4).unwrap_or(-1),
            values: column.size(5, "the count of values")? as u64,
        }),
        _ => damaged(format!(
            "the column `{field}` lies beyond the end of the file"
        )),
    }
}

/// The fields that hold values, in order. The metadata lists every field before those nested in it.
fn leaves(file: &Struct<'_>) -> Result<Vec<Leaf>, Fault> {
    struct Open {
        name: String,
        left: usize,
        whole: u32,
        is_list: bool,
    }
    let mut fields = file.structures(2);
    let Some(root) = fields.next() else {
        return damaged("it describes no columns");
    };
    let mut open = vec![Open {
        name: String::new(),
        left: root.size(5, "the count of columns")?,
        whole: 0,
        is_list: false,
    }];
    let mut leaves = Vec::new();
    for field in fields {
        while open.last().is_some_and(|outer| outer.left == 0) {
            open.pop();
        }
        let Some(outer) = open.last_mut() else {
            return damaged("it describes more columns than it counts");
        };
        outer.left -= 1;
        // 0: required, 1: optional, 2: repeated.
        let repetition = field.int(3).unwrap_or(0);
        let whole = outer.whole + u32::from(repetition != 0);
        let is_list = outer.is_list || repetition == 2;
        let name = field.text(4);
        match field.int(5).filter(|inside| *inside > 0) {
            Some(inside) => {
                if open.len() > DEEPEST {
                    return unread(format!("its fields are nested more than {DEEPEST} deep"));
                }
                open.push(Open {
                    name,
                    left: inside as usize,
                    whole,
                    is_list,
                });
            }
            None => {
                let names = open.iter().skip(1).map(|outer| outer.name.as_str());
                let path = names.chain([name.as_str()]).collect::<Vec<_>>().join(".");
                leaves.push(Leaf {
                    path,
                    kind: field.int(1).unwrap_or(-1),
                    whole,
                    is_list,
                });
            }
        }
    }
    Ok(leaves)
}
