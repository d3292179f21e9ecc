//! Kernel launches recorded by the tests in `tests/gpu`: the inputs of each kernel and the outputs of its CPU
//! build.
//!
//! Other ways of running the kernels (on a GPU, or in the PTX interpreter of `tests/gpu/ptx`) repeat the
//! launches and compare. The file format is little-endian: `MAGIC`, followed by the launches in the order read
//! by [`read`]. Pointers are stored as the number of a buffer and an offset.

use std::collections::BTreeMap;

/// The first bytes of a file of launches.
const MAGIC: &[u8] = b"specbook.launches.1\n";
/// No buffer: the parameter is not a pointer.
const NONE: u32 = u32::MAX;

pub(crate) struct Launch {
    /// Name of the kernel.
    pub(crate) kernel: String,
    /// Name of the test that launched it.
    pub(crate) test: String,
    /// The only block that ran, if the grid was too large to run completely; 0 means all.
    pub(crate) only_block: u32,
    /// Numbers of blocks in x, y, z.
    pub(crate) grid: [u32; 3],
    /// Numbers of threads per block in x, y, z.
    pub(crate) block: [u32; 3],
    /// The largest difference from f64 that the test allows, relative to the largest number in the buffer.
    pub(crate) allowed: f64,
    /// Parameters, in order.
    pub(crate) parameters: Vec<Parameter>,
    /// The buffers that the parameters point to.
    pub(crate) buffers: Vec<Buffer>,
}

/// A parameter of a kernel.
pub(crate) struct Parameter {
    /// Its bytes; all 0 for a pointer.
    pub(crate) bytes: Vec<u8>,
    /// Its target, if it is a pointer.
    pub(crate) target: Option<Target>,
}

/// A position in a buffer.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    /// Number of the buffer.
    pub(crate) buffer: usize,
    /// Offset in bytes.
    pub(crate) offset: u64,
}

/// Memory that a launch reads or writes.
pub(crate) struct Buffer {
    /// Its name in the test.
    pub(crate) name: String,
    /// The type of its contents.
    pub(crate) kind: Kind,
    /// Total size in bytes.
    pub(crate) size: u64,
    /// Offset of the first stored byte; of a huge buffer, only a part is stored.
    pub(crate) from: u64,
    /// The stored part before the launch.
    pub(crate) before: Vec<u8>,
    /// The stored part after the launch; `None` if nothing changed.
    pub(crate) after: Option<Vec<u8>>,
    /// Pointers in the buffer: the offset in the stored part, and the target of each.
    pub(crate) pointers: Vec<(u64, Target)>,
}

/// Types of buffer contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// 32-bit floats.
    F32,
    /// bfloat16.
    Bf16,
    /// 64-bit floats.
    F64,
    /// Data that must be equal in every bit.
    Exact,
}

impl Kind {
    fn numbers(self, bytes: &[u8]) -> Vec<f64> {
        let wide = |bits: u32| f64::from(f32::from_bits(bits));
        match self {
            Self::F32 => words(bytes, |word: [u8; 4]| wide(u32::from_le_bytes(word))),
            Self::Bf16 => words(bytes, |word: [u8; 2]| {
                wide(u32::from(u16::from_le_bytes(word)) << 16)
            }),
            Self::F64 => words(bytes, f64::from_le_bytes),
            Self::Exact => bytes.iter().copied().map(f64::from).collect(),
        }
    }

    /// The largest difference between two buffers, relative to the largest expected number; infinite if a
    /// number is NaN, or if data that must be equal is not.
    pub(crate) fn difference(self, got: &[u8], want: &[u8]) -> f64 {
        if got == want {
            return 0.0;
        }
        if self == Self::Exact || got.len() != want.len() {
            return f64::INFINITY;
        }
        let (got, want) = (self.numbers(got), self.numbers(want));
        let (mut worst, mut scale) = (0.0f64, f64::MIN_POSITIVE);
        for (got, want) in got.iter().zip(&want) {
            // Unwritten numbers are NaN in both.
            if got.is_nan() && want.is_nan() || got == want {
                scale = scale.max(if want.is_finite() { want.abs() } else { 0.0 });
                continue;
            }
            let apart = (got - want).abs();
            if !apart.is_finite() {
                return f64::INFINITY;
            }
            worst = worst.max(apart);
            scale = scale.max(want.abs());
        }
        worst / scale
    }
}

fn words<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    bytes.as_chunks().0.iter().copied().map(number).collect()
}

/// The outcome of a kernel's launches.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Number of launches.
    pub(crate) launches: usize,
    /// The largest difference from the CPU build.
    pub(crate) difference: f64,
    /// The largest allowed difference.
    pub(crate) allowed: f64,
    /// The first problem.
    pub(crate) wrong: Option<String>,
}

/// Outcomes by kernel.
pub(crate) type Outcomes = BTreeMap<String, Outcome>;

/// Repeats launches through `run`, which returns the resulting contents of the buffers or an error.
pub(crate) fn outcomes<'a>(
    launches: impl IntoIterator<Item = &'a Launch>,
    mut run: impl FnMut(&Launch) -> Result<Vec<Vec<u8>>, String>,
) -> Outcomes {
    let mut found = Outcomes::new();
    for launch in launches {
        let found = found.entry(launch.kernel.clone()).or_default();
        found.launches += 1;
        found.allowed = found.allowed.max(launch.allowed);
        match run(launch).and_then(|memory| launch.difference(&memory)) {
            Ok(difference) => found.difference = found.difference.max(difference),
            Err(why) => {
                let why = || format!("{}: {why}", launch.test);
                found.wrong.get_or_insert_with(why);
            }
        }
    }
    found
}

impl Launch {
    /// The largest difference between `memory` and the contents left by the CPU build; an error if it is more
    /// than allowed.
    fn difference(&self, memory: &[Vec<u8>]) -> Result<f64, String> {
        let mut worst = 0.0f64;
        for (buffer, got) in self.buffers.iter().zip(memory) {
            // Addresses differ in every run.
            if !buffer.pointers.is_empty() {
                continue;
            }
            let want = buffer.after.as_ref().unwrap_or(&buffer.before);
            let difference = match &buffer.after {
                None if got != want => {
                    return Err(format!(
                        "`{}` is written, which the CPU only reads",
                        buffer.name
                    ));
                }
                _ => buffer.kind.difference(got, want),
            };
            if difference > self.allowed {
                let (name, allowed) = (&buffer.name, self.allowed);
                return Err(format!(
                    "`{name}` is {difference:.1e} apart, {allowed:.0e} allowed"
                ));
            }
            worst = worst.max(difference);
        }
        Ok(worst)
    }
}

/// Reads all launches in a file; `None` if it is not such a file, or truncated.
pub(crate) fn read(file: &[u8]) -> Option<Vec<Launch>> {
    let mut rest = Rest(file.strip_prefix(MAGIC)?);
    let mut launches = Vec::new();
    while !rest.0.is_empty() {
        launches.push(rest.launch()?);
    }
    Some(launches)
}

/// The unread rest of a file.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn bytes(&mut self, count: u64) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(count).ok()?)?;
        self.0 = rest;
        Some(bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.bytes(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.bytes(8)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<String> {
        let count = self.u32()?;
        Some(String::from_utf8_lossy(self.bytes(count.into())?).into_owned())
    }

    fn three(&mut self) -> Option<[u32; 3]> {
        Some([self.u32()?, self.u32()?, self.u32()?])
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.u32()?;
        (0..count).map(|_| item(self)).collect()
    }

    fn target(&mut self) -> Option<Option<Target>> {
        let (buffer, offset) = (self.u32()?, self.u64()?);
        Some((buffer != NONE).then_some(Target {
            buffer: buffer as usize,
            offset,
        }))
    }

    fn launch(&mut self) -> Option<Launch> {
        Some(Launch {
            kernel: self.text()?,
            test: self.text()?,
            only_block: self.u32()?,
            grid: self.three()?,
            block: self.three()?,
            allowed: f64::from_bits(self.u64()?),
            parameters: self.list(|rest| {
                let size = rest.u32()?;
                Some(Parameter {
                    bytes: rest.bytes(size.into())?.to_vec(),
                    target: rest.target()?,
                })
            })?,
            buffers: self.list(Self::buffer)?,
        })
    }

    fn buffer(&mut self) -> Option<Buffer> {
        let (name, kind) = (self.text()?, self.u32()?);
        let (size, from, stored) = (self.u64()?, self.u64()?, self.u64()?);
        Some(Buffer {
            name,
            kind: match u8::try_from(kind).ok()? {
                b'f' => Kind::F32,
                b'h' => Kind::Bf16,
                b'd' => Kind::F64,
                _ => Kind::Exact,
            },
            size,
            from,
            before: self.bytes(stored)?.to_vec(),
            after: match self.u32()? {
                0 => None,
                _ => Some(self.bytes(stored)?.to_vec()),
            },
            pointers: self.list(|rest| Some((rest.u64()?, rest.target()??)))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_parts_of_the_largest_number_and_nan_is_none() {
        let f32s = |values: [f32; 2]| values.map(f32::to_le_bytes).concat();
        let apart = |got, want| Kind::F32.difference(&f32s(got), &f32s(want));
        assert_eq!(apart([1.0, 4.5], [1.0, 4.0]), 0.125);
        assert_eq!(apart([f32::NAN, 4.0], [f32::NAN, 4.0]), 0.0);
        assert_eq!(apart([f32::NAN, 4.0], [1.0, 4.0]), f64::INFINITY);
        assert_eq!(apart([1.0, 4.0], [f32::NAN, 4.0]), f64::INFINITY);
        assert_eq!(Kind::Exact.difference(&[1], &[2]), f64::INFINITY);
        assert_eq!(Kind::Bf16.difference(&[0x80, 0x3f], &[0, 0x40]), 0.5);
    }

    #[test]
    fn a_launch_is_wrong_where_a_buffer_is_too_far_off_or_only_read() {
        let buffer = |name: &str, after: Option<f32>| Buffer {
            name: name.to_owned(),
            kind: Kind::F32,
            size: 4,
            from: 0,
            before: 1.0f32.to_le_bytes().to_vec(),
            after: after.map(|number| number.to_le_bytes().to_vec()),
            pointers: Vec::new(),
        };
        let launch = Launch {
            kernel: "add_to".to_owned(),
            test: "copies".to_owned(),
            only_block: 0,
            grid: [1; 3],
            block: [1; 3],
            allowed: 0.1,
            parameters: Vec::new(),
            buffers: vec![buffer("to", Some(2.0)), buffer("from", None)],
        };
        let run = |to: f32, from: f32| {
            let memory = [to, from].map(|number| number.to_le_bytes().to_vec());
            let found = outcomes([&launch, &launch], |_| Ok(memory.to_vec()));
            let found = &found["add_to"];
            assert_eq!((found.launches, found.allowed), (2, 0.1));
            (found.difference, found.wrong.clone().unwrap_or_default())
        };
        assert_eq!(run(2.0, 1.0), (0.0, String::new()));
        assert_eq!(run(2.125, 1.0), (0.0625, String::new()));
        assert_eq!(
            run(1.0, 1.0).1,
            "copies: `to` is 5.0e-1 apart, 1e-1 allowed"
        );
        assert_eq!(
            run(2.0, 1.01).1,
            "copies: `from` is written, which the CPU only reads"
        );
    }

    #[test]
    fn a_file_that_is_cut_or_another_is_none() {
        let mut file = MAGIC.to_vec();
        for text in ["add_to", "copies"] {
            file.extend(6u32.to_le_bytes());
            file.extend(text.as_bytes());
        }
        file.extend([0u32, 1, 1, 1, 32, 1, 1].map(u32::to_le_bytes).concat());
        file.extend(1e-6f64.to_le_bytes());
        file.extend([0u32, 0].map(u32::to_le_bytes).concat());
        let read_all = read(&file).unwrap();
        assert_eq!(read_all[0].kernel, "add_to");
        assert_eq!(read_all[0].block, [32, 1, 1]);
        assert!(read(&file[..file.len() - 1]).is_none());
        assert!(read(b"something else").is_none());
    }
}
