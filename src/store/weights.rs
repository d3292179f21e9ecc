//! Arrays as safetensors files with one byte sequence per value: tensors in the model's order, nothing else in the header.
//!
//! The crate `safetensors` checks what is read; writing is done here, because the crate sorts tensors by name and the order
//! of [`Weights`](crate::train::Weights) is part of their digest.

use super::error::StoreError;
use crate::fsx::{AtomicFile, Fs};
use crate::train::NamedTensor;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value, json};
use std::io::Write;

/// A named array that is not owned.
#[derive(Clone, Debug)]
pub(crate) struct ArrayRef<'a> {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) data: &'a [f32],
}

impl<'a> ArrayRef<'a> {
    pub(crate) fn of(prefix: &str, tensor: &'a NamedTensor) -> Self {
        Self {
            name: format!("{prefix}{}", tensor.name),
            shape: tensor.shape.clone(),
            data: &tensor.data,
        }
    }
}

/// The header: length and JSON, padded with spaces to a multiple of 8 bytes.
fn header(arrays: &[ArrayRef<'_>]) -> Result<Vec<u8>, StoreError> {
    let unstorable = |reason: String| StoreError::Unstorable {
        what: "weights",
        reason,
    };
    let mut map = Map::new();
    let mut offset = 0;
    for array in arrays {
        let elements = array
            .shape
            .iter()
            .try_fold(1usize, |n, size| n.checked_mul(*size));
        if elements != Some(array.data.len()) || array.data.is_empty() {
            return Err(unstorable(format!(
                "`{}` has {} values for the shape {:?}",
                array.name,
                array.data.len(),
                array.shape
            )));
        }
        let end = offset + array.data.len() * 4;
        let entry = json!({"dtype": "F32", "shape": array.shape, "data_offsets": [offset, end]});
        if array.name == "__metadata__" || map.insert(array.name.clone(), entry).is_some() {
            return Err(unstorable(format!("the name `{}` is taken", array.name)));
        }
        offset = end;
    }
    let mut text = Value::Object(map).to_string();
    while !text.len().is_multiple_of(8) {
        text.push(' ');
    }
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    Ok(bytes)
}

/// Passes the bytes of a file of `arrays` to `sink`, piece by piece.
fn encode<E: From<StoreError>>(
    arrays: &[ArrayRef<'_>],
    mut sink: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    sink(&header(arrays)?)?;
    let mut piece = Vec::with_capacity(1 << 16);
    for array in arrays {
        for values in array.data.chunks(1 << 14) {
            piece.clear();
            values
                .iter()
                .for_each(|value| piece.extend_from_slice(&value.to_le_bytes()));
            sink(&piece)?;
        }
    }
    Ok(())
}

/// Writes `arrays` into a file of the store.
pub(crate) fn write_arrays<F: Fs + ?Sized>(
    file: &mut AtomicFile<'_, F>,
    arrays: &[ArrayRef<'_>],
) -> Result<(), StoreError> {
    encode(arrays, |piece| file.write(piece).map_err(StoreError::from))
}

/// Writes tensors as a safetensors file, in their order, with the same bytes every time.
///
/// # Errors
/// Two tensors of one name, a shape that does not fit its values, an empty tensor, or whatever `out` reports.
pub fn write_safetensors(tensors: &[NamedTensor], out: &mut dyn Write) -> std::io::Result<()> {
    struct Io(std::io::Error);
    impl From<StoreError> for Io {
        fn from(error: StoreError) -> Self {
            Self(std::io::Error::other(error))
        }
    }
    let arrays: Vec<_> = tensors
        .iter()
        .map(|tensor| ArrayRef::of("", tensor))
        .collect();
    encode(&arrays, |piece| out.write_all(piece).map_err(Io)).map_err(|error| error.0)
}

/// Reads the f32 tensors of a safetensors file, in the order of their data.
///
/// # Errors
/// In words: a header that does not fit the file, or numbers that are not f32. Takes no more memory than the file is long,
/// beside the header.
pub fn read_safetensors(bytes: &[u8]) -> Result<Vec<NamedTensor>, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let mut views: Vec<_> = file.iter().collect();
    // The data follow one another without gaps, so addresses are the order in the file.
    views.sort_by_key(|(name, view)| (view.data().as_ptr() as usize, view.data().len(), *name));
    views
        .into_iter()
        .map(|(name, view)| {
            if view.dtype() != Dtype::F32 {
                return Err(format!("`{name}` holds {:?}, not F32", view.dtype()));
            }
            let data = view
                .data()
                .chunks_exact(4)
                .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
                .collect();
            Ok(NamedTensor {
                name: name.to_owned(),
                shape: view.shape().to_vec(),
                data,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Weights;
    use proptest::prelude::*;

    fn tensor(name: &str, shape: &[usize]) -> NamedTensor {
        let n: usize = shape.iter().product();
        NamedTensor {
            name: name.to_owned(),
            shape: shape.to_vec(),
            data: (0..n).map(|i| i as f32 * 0.5 - 1.0).collect(),
        }
    }

    fn bytes(tensors: &[NamedTensor]) -> Vec<u8> {
        let mut out = Vec::new();
        write_safetensors(tensors, &mut out).unwrap();
        out
    }

    #[test]
    fn order_and_bits_survive() {
        let mut tensors = vec![tensor("z", &[2, 3]), tensor("a", &[4]), tensor("m", &[1])];
        tensors[1].data[0] = f32::from_bits(0x7fc0_1234);
        tensors[1].data[1] = -0.0;
        let file = bytes(&tensors);
        let back = read_safetensors(&file).unwrap();
        assert_eq!(Weights(back).digest(), Weights(tensors).digest());
        assert_eq!(
            safetensors::SafeTensors::deserialize(&file)
                .unwrap()
                .names()
                .len(),
            3
        );
    }

    #[test]
    fn what_would_not_read_back_is_refused() {
        let twice = [tensor("a", &[1]), tensor("a", &[1])];
        let mut wrong = tensor("b", &[2]);
        wrong.shape = vec![3];
        for tensors in [&twice[..], &[wrong], &[tensor("e", &[0])]] {
            assert!(write_safetensors(tensors, &mut Vec::new()).is_err());
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_safetensors(&bytes);
        }

        #[test]
        fn mutated_files_never_panic(at in 0usize..400, byte in any::<u8>(), cut in 0usize..400) {
            let mut file = bytes(&[tensor("one", &[2, 3]), tensor("two", &[5])]);
            let at = at % file.len();
            file[at] = byte;
            let _ = read_safetensors(&file);
            file.truncate(cut);
            let _ = read_safetensors(&file);
        }
    }
}
