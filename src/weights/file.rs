//! Weights as a safetensors file: an 8-byte little-endian length, a JSON header, the values as little-endian f32.
//!
//! The writer keeps the order of the tensors (and writes the same bytes for the same weights); the reader returns them in the order
//! of their values. The header's metadata documents the layout for other programs. In a store, linear weights are
//! `(out, in)` for every architecture, including GPT-2, and rotary pairs are adjacent `(2i, 2i + 1)`; exports convert
//! them to the target program's layout and record that in their metadata.

use super::{NamedTensor, Weights};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::Write;

/// The metadata of every file in a store.
const NOTES: [(&str, &str); 3] = [
    ("format", "pt"),
    ("linear_layout", "out,in"),
    ("rotary_pairs", "adjacent"),
];

/// A borrowed named array.
#[derive(Clone, Debug)]
pub struct TensorRef<'a> {
    /// Name.
    pub name: String,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// Values in row-major order.
    pub data: &'a [f32],
}

impl<'a> TensorRef<'a> {
    /// `tensor`, with `prefix` before its name.
    pub fn of(prefix: &str, tensor: &'a NamedTensor) -> Self {
        Self {
            name: format!("{prefix}{}", tensor.name),
            shape: tensor.shape.clone(),
            data: &tensor.data,
        }
    }
}

/// Length and text of the header, or the reason for refusing the tensors.
fn header(notes: &[(&str, &str)], tensors: &[TensorRef<'_>]) -> Result<Vec<u8>, String> {
    let mut entries = Map::new();
    let notes: Map<String, Value> = notes
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    entries.insert("__metadata__".to_owned(), Value::Object(notes));
    let mut start = 0;
    for tensor in tensors {
        let mut sizes = tensor.shape.iter();
        let elements = sizes.try_fold(1usize, |n, size| n.checked_mul(*size));
        if elements != Some(tensor.data.len()) || tensor.data.is_empty() {
            let (name, count, shape) = (&tensor.name, tensor.data.len(), &tensor.shape);
            return Err(format!(
                "`{name}` has {count} values for the shape {shape:?}"
            ));
        }
        let end = start + 4 * tensor.data.len();
        let entry = json!({"dtype": "F32", "shape": tensor.shape, "data_offsets": [start, end]});
        if entries.insert(tensor.name.clone(), entry).is_some() {
            return Err(format!("the name `{}` is taken", tensor.name));
        }
        start = end;
    }
    let mut text = Value::Object(entries).to_string().into_bytes();
    // Values begin at a multiple of 8, as required by the format.
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.append(&mut text);
    Ok(bytes)
}

/// Writes `tensors` to `out`, in order, as a store file.
///
/// # Errors
/// As [`write_noted`].
pub fn write_tensors(tensors: &[TensorRef<'_>], out: &mut dyn Write) -> std::io::Result<()> {
    write_noted(&NOTES, tensors, out)
}

/// Writes `tensors` to `out`, in order, with `notes` as metadata.
///
/// # Errors
/// [`std::io::ErrorKind::InvalidInput`] for two tensors with the same name, a shape that does not match its values, or
/// an empty tensor; errors of `out`.
pub fn write_noted(
    notes: &[(&str, &str)],
    tensors: &[TensorRef<'_>],
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let invalid = |reason| std::io::Error::new(std::io::ErrorKind::InvalidInput, reason);
    out.write_all(&header(notes, tensors).map_err(invalid)?)?;
    let mut buffer = Vec::with_capacity(1 << 16);
    for tensor in tensors {
        for chunk in tensor.data.chunks(1 << 14) {
            buffer.clear();
            buffer.extend(chunk.iter().flat_map(|value| value.to_le_bytes()));
            out.write_all(&buffer)?;
        }
    }
    Ok(())
}

/// Writes `weights` to `out`.
///
/// # Errors
/// As [`write_tensors`].
#[cfg(test)]
pub(crate) fn write(weights: &Weights, out: &mut dyn Write) -> std::io::Result<()> {
    let tensors = weights.0.iter().map(|tensor| TensorRef::of("", tensor));
    write_tensors(&tensors.collect::<Vec<_>>(), out)
}

/// The file as bytes.
#[cfg(test)]
pub(crate) fn to_bytes(weights: &Weights) -> Vec<u8> {
    let values: usize = weights.0.iter().map(|tensor| tensor.data.len()).sum();
    let mut bytes = Vec::with_capacity(4 * values + 1024);
    write(weights, &mut bytes)
        .expect("a model's tensors have names of their own and fit their shapes");
    bytes
}

/// A file from any program.
pub struct Read {
    /// Its tensors as f32.
    pub weights: Weights,
    /// Its metadata.
    pub notes: BTreeMap<String, String>,
}

/// Reads the weights of a file whose tensors are all f32.
///
/// # Errors
/// A description, for a file that is truncated or damaged, or has tensors of other types.
pub fn from_bytes(bytes: &[u8]) -> Result<Weights, String> {
    read(bytes, &[Dtype::F32]).map(|read| read.weights)
}

/// Reads the weights of a file from any program: f32, f16 or bf16, widened to f32.
///
/// # Errors
/// As [`from_bytes`].
pub fn read_any(bytes: &[u8]) -> Result<Read, String> {
    read(bytes, &[Dtype::F32, Dtype::F16, Dtype::BF16])
}

fn read(bytes: &[u8], allowed: &[Dtype]) -> Result<Read, String> {
    let wrong = |what: String| format!("weights file: {what}");
    let (_, metadata) =
        SafeTensors::read_metadata(bytes).map_err(|error| wrong(error.to_string()))?;
    let file = SafeTensors::deserialize(bytes).map_err(|error| wrong(error.to_string()))?;
    let mut tensors = Vec::new();
    for name in metadata.offset_keys() {
        let view = file
            .tensor(&name)
            .map_err(|error| wrong(error.to_string()))?;
        if !allowed.contains(&view.dtype()) {
            return Err(wrong(format!("`{name}` is {:?}, not F32", view.dtype())));
        }
        tensors.push(NamedTensor {
            name,
            shape: view.shape().to_vec(),
            data: values(view.dtype(), view.data()),
        });
    }
    let notes = metadata.metadata().clone().unwrap_or_default();
    Ok(Read {
        weights: Weights(tensors),
        notes: notes.into_iter().collect(),
    })
}

/// Little-endian values as f32.
fn values(dtype: Dtype, bytes: &[u8]) -> Vec<f32> {
    let words = || {
        bytes
            .chunks_exact(2)
            .filter_map(|word| word.try_into().ok())
            .map(u16::from_le_bytes)
    };
    match dtype {
        Dtype::F16 => words().map(super::half::widen).collect(),
        Dtype::BF16 => words()
            .map(|word| f32::from_bits(u32::from(word) << 16))
            .collect(),
        _ => bytes
            .chunks_exact(4)
            .filter_map(|value| value.try_into().ok().map(f32::from_le_bytes))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn weights() -> Weights {
        let tensor = |name: &str, shape: &[usize]| NamedTensor {
            name: name.to_owned(),
            shape: shape.to_vec(),
            data: (0..shape.iter().product())
                .map(|index| index as f32 * 0.5 - 1.0)
                .collect(),
        };
        // Sorted neither by name nor by size.
        Weights(vec![
            tensor("z.weight", &[2, 3]),
            tensor("a.weight", &[4]),
            tensor("m.weight", &[1, 1]),
        ])
    }

    #[test]
    fn weights_come_back_in_their_order() {
        let bytes = to_bytes(&weights());
        assert_eq!(bytes, to_bytes(&weights()));
        assert_eq!(from_bytes(&bytes).unwrap(), weights());
        assert_eq!(from_bytes(&bytes).unwrap().digest(), weights().digest());
        assert_eq!(
            from_bytes(&to_bytes(&Weights::default())).unwrap(),
            Weights::default()
        );
    }

    #[test]
    fn special_values_keep_their_bits() {
        let mut odd = weights();
        odd.0[1].data = vec![f32::NEG_INFINITY, -0.0, f32::MIN_POSITIVE / 2.0, f32::MAX];
        let back = from_bytes(&to_bytes(&odd)).unwrap();
        assert_eq!(back.digest(), odd.digest());
    }

    #[test]
    fn what_would_not_read_back_is_refused() {
        let [a, b] = [[1.0], [2.0]];
        let tensor = |name: &str, shape: &[usize], data| TensorRef {
            name: name.to_owned(),
            shape: shape.to_vec(),
            data,
        };
        for tensors in [
            vec![tensor("a", &[1], &a), tensor("a", &[1], &b)],
            vec![tensor("b", &[2], &b)],
            vec![tensor("e", &[0], &[])],
            vec![tensor("__metadata__", &[1], &a)],
        ] {
            let error = write_tensors(&tensors, &mut Vec::new()).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{error}");
        }
    }

    #[test]
    fn other_types_are_refused() {
        let text = String::from_utf8_lossy(&to_bytes(&weights())).replace("F32", "I32");
        let error = from_bytes(text.as_bytes()).map(|_| ());
        assert!(error.is_err());
    }

    /// A llama2.c checkpoint with these sizes and number of values.
    fn llama2c(sizes: [i32; 7], values: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = sizes.iter().flat_map(|size| size.to_le_bytes()).collect();
        bytes.extend((0..values).flat_map(|index| (index as f32).to_le_bytes()));
        bytes
    }

    #[test]
    fn a_whole_checkpoint_of_llama2c_is_read() {
        // Embedding 5·4; norms 4, attention 4·16, norms 4, feed-forward 3·24; norm 4; tables 2·3·1.
        let values = 20 + 4 + 64 + 4 + 72 + 4 + 6;
        let sizes = [4, 6, 1, 2, 2, 5, 3];
        assert!(crate::interop::llama2c::read(&llama2c(sizes, values)).is_ok());
        for other in [values - 1, values + 1] {
            assert!(crate::interop::llama2c::read(&llama2c(sizes, other)).is_err());
        }
    }

    #[test]
    fn changed_files_are_read_or_refused() {
        let words = [
            "F32",
            "F64",
            "I64",
            "\"shape\":[",
            "\"data_offsets\":[0,",
            "__metadata__",
            "{",
            "}",
            ",",
        ];
        let seeds = [to_bytes(&weights()), to_bytes(&Weights::default())];
        crate::test_support::fuzz("safetensors", &seeds, &words, 2000, |bytes| {
            let _ = from_bytes(bytes);
        });
        let seeds = [
            llama2c([4, 6, 1, 2, 2, 5, 3], 174),
            llama2c([8, 6, 2, 4, 2, -5, 3], 400),
        ];
        crate::test_support::fuzz("llama2c", &seeds, &[], 2000, |bytes| {
            let _ = crate::interop::llama2c::read(bytes);
        });
    }

    proptest! {
        #![proptest_config(crate::test_support::cases(256))]
        #[test]
        fn sizes_that_make_no_sense_do_not_panic(
            sizes in proptest::array::uniform7(prop_oneof![-3i32..12, any::<i32>(), Just(1_000_000), Just(i32::MIN)]),
            values in 0usize..400,
        ) {
            let _ = crate::interop::llama2c::read(&llama2c(sizes, values));
        }

        #[test]
        fn damaged_files_do_not_panic(at in 0usize..400, byte: u8, cut in 0usize..400) {
            let mut bytes = to_bytes(&weights());
            let length = bytes.len();
            bytes[at % length] = byte;
            let _ = from_bytes(&bytes);
            let _ = from_bytes(&bytes[..cut % length]);
        }

        #[test]
        fn any_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = from_bytes(&bytes);
            let _ = crate::interop::llama2c::read(&bytes);
        }

        #[test]
        fn hostile_headers_do_not_panic(text in "\\PC{0,80}", length in 0u64..100) {
            let mut bytes = length.to_le_bytes().to_vec();
            bytes.extend(text.as_bytes());
            let _ = from_bytes(&bytes);
        }
    }
}
