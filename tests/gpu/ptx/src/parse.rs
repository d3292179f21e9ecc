//! Parses PTX: kernels, their parameters, shared arrays, registers and instructions. Unknown syntax is refused.

use crate::compute;
use crate::memory::SHARED;
use std::collections::BTreeMap;

/// A kernel, ready to run.
pub(crate) struct Kernel {
    pub(crate) name: String,
    /// Offset of each parameter in the parameter block, and its size.
    pub(crate) parameters: Vec<(usize, usize)>,
    /// Bytes of shared memory.
    pub(crate) shared: usize,
    /// Number of registers per thread.
    pub(crate) registers: usize,
    pub(crate) code: Vec<Instruction>,
}

/// The operation to run if the guard holds.
pub(crate) struct Instruction {
    /// A predicate, and whether it is negated.
    pub(crate) guard: Option<(usize, bool)>,
    pub(crate) what: What,
    /// Source text, for messages.
    pub(crate) text: String,
}

/// A register, or a number.
#[derive(Clone, Copy)]
pub(crate) enum Operand {
    Register(usize),
    Value(u64),
}

/// Registers with a predefined value (`Kernel::registers` counts them).
pub(crate) const SPECIAL: [&str; 7] = [
    "%tid.x",
    "%ctaid.x",
    "%ctaid.y",
    "%ntid.x",
    "%nctaid.x",
    "%nctaid.y",
    "_",
];

/// Kinds of instructions.
pub(crate) enum What {
    Branch(usize),
    Return,
    Barrier,
    WarpBarrier {
        mask: Operand,
    },
    /// `to` ← `from` of lane `lane ^ by`.
    Shuffle {
        to: usize,
        from: Operand,
        by: Operand,
        mask: Operand,
    },
    /// D, A, B, C of `mma.m16n8k16`.
    Mma([Vec<usize>; 4]),
    LoadParameter {
        to: usize,
        at: usize,
        size: usize,
    },
    Load {
        to: Vec<usize>,
        base: Operand,
        offset: i64,
        size: usize,
    },
    Store {
        from: Vec<Operand>,
        base: Operand,
        offset: i64,
        size: usize,
    },
    /// A word from parts of `bits` bits, lowest first.
    Pack {
        to: usize,
        from: Vec<Operand>,
        bits: u32,
    },
    Unpack {
        to: Vec<usize>,
        from: Operand,
        bits: u32,
    },
    Compute {
        function: fn([u64; 4]) -> u64,
        to: usize,
        from: [Operand; 4],
    },
}

fn bytes_of(kind: &str) -> Result<usize, String> {
    let bits = kind.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    bits.parse::<usize>()
        .map(|bits| bits / 8)
        .map_err(|_| format!("unknown type `{kind}`"))
}

/// All kernels of a file.
pub(crate) fn kernels(text: &str) -> Result<BTreeMap<String, Kernel>, String> {
    let mut found = BTreeMap::new();
    for part in text.split(".visible .entry ").skip(1) {
        let (head, body) = part.split_once("\n{").ok_or("a kernel without a body")?;
        let body = body.split_once("\n}").ok_or("a body without an end")?.0;
        let kernel = Reader::default().kernel(head, body)?;
        found.insert(kernel.name.clone(), kernel);
    }
    Ok(found)
}

#[derive(Default)]
struct Reader {
    parameters: BTreeMap<String, usize>,
    shared: BTreeMap<String, u64>,
    registers: BTreeMap<String, usize>,
    labels: BTreeMap<String, usize>,
}

impl Reader {
    fn kernel(mut self, head: &str, body: &str) -> Result<Kernel, String> {
        for name in SPECIAL {
            self.register(name);
        }
        let (name, list) = head.split_once('(').ok_or("an entry without parameters")?;
        let list = list.split(')').next().unwrap_or_default();
        let mut end = 0usize;
        let mut parameters = Vec::new();
        for line in list.split(',').filter(|line| !line.trim().is_empty()) {
            let (size, align, name) = parameter(line)?;
            let at = end.next_multiple_of(align);
            self.parameters.insert(name, at);
            parameters.push((at, size));
            end = at + size;
        }
        let (mut lines, mut shared) = (Vec::new(), 0usize);
        for line in body.lines() {
            let line = line.split("//").next().unwrap_or_default().trim();
            // Inline assembly is in separate braces.
            let line = line
                .strip_prefix("{ ")
                .map_or(line, |line| line.trim_end_matches('}'));
            let line = line.trim();
            if let Some(array) = line.strip_prefix(".shared ") {
                let (size, align, name) = parameter(array)?;
                shared = shared.next_multiple_of(align);
                self.shared.insert(name, SHARED + shared as u64);
                shared += size;
            } else if let Some(label) = line.strip_suffix(':') {
                self.labels.insert(label.to_owned(), lines.len());
            } else if line.starts_with(".local") {
                return Err(format!("{name}: local memory is not known: {line}"));
            } else if !line.is_empty() && !line.starts_with('.') {
                lines.push(line.trim_end_matches(';').to_owned());
            }
        }
        let mut code = Vec::new();
        for line in lines {
            let found = self.instruction(&line);
            code.push(found.map_err(|why| format!("{name}: {why}: `{line}`"))?);
        }
        Ok(Kernel {
            name: name.to_owned(),
            parameters,
            shared,
            registers: self.registers.len(),
            code,
        })
    }

    fn register(&mut self, name: &str) -> usize {
        let next = self.registers.len();
        *self.registers.entry(name.to_owned()).or_insert(next)
    }

    fn instruction(&mut self, line: &str) -> Result<Instruction, String> {
        let (guard, rest) = match line.strip_prefix('@') {
            None => (None, line),
            Some(guarded) => {
                let (guard, rest) = guarded.split_once(' ').ok_or("a guard alone")?;
                let negated = guard.starts_with('!');
                let guard = self.register(guard.trim_start_matches('!'));
                (Some((guard, negated)), rest.trim())
            }
        };
        let (opcode, operands) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        Ok(Instruction {
            guard,
            what: self.what(opcode, &split(operands))?,
            text: line.to_owned(),
        })
    }

    fn what(&mut self, opcode: &str, operands: &[String]) -> Result<What, String> {
        let nth = |n: usize| {
            operands
                .get(n)
                .map(String::as_str)
                .ok_or("too few operands")
        };
        let kind = opcode.rsplit('.').next().unwrap_or_default();
        match opcode {
            "bra" | "bra.uni" => {
                let label = self.labels.get(nth(0)?);
                return label
                    .copied()
                    .map(What::Branch)
                    .ok_or("unknown label".to_owned());
            }
            "ret" => return Ok(What::Return),
            "bar.sync" if nth(0)? == "0" && operands.len() == 1 => return Ok(What::Barrier),
            "bar.warp.sync" => {
                let mask = self.operand(nth(0)?)?;
                return Ok(What::WarpBarrier { mask });
            }
            "shfl.sync.bfly.b32" => {
                let to = nth(0)?.split('|').next().unwrap_or_default();
                return Ok(What::Shuffle {
                    to: self.register(to),
                    from: self.operand(nth(1)?)?,
                    by: self.operand(nth(2)?)?,
                    mask: self.operand(nth(4)?)?,
                });
            }
            "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32" => {
                let mut list = |n: usize| Ok::<_, String>(self.names(nth(n)?));
                return Ok(What::Mma([list(0)?, list(1)?, list(2)?, list(3)?]));
            }
            _ => {}
        }
        if opcode.starts_with("ld.param.") {
            let (name, offset) = place(nth(1)?)?;
            let at = *self.parameters.get(name).ok_or("unknown parameter")?;
            return Ok(What::LoadParameter {
                to: self.register(nth(0)?),
                at: at.saturating_add_signed(offset as isize),
                size: bytes_of(kind)?,
            });
        }
        if is_access(opcode, "ld") {
            let (base, offset) = place(nth(1)?)?;
            return Ok(What::Load {
                to: self.names(nth(0)?),
                base: self.operand(base)?,
                offset,
                size: bytes_of(kind)?,
            });
        }
        if is_access(opcode, "st") {
            let (base, offset) = place(nth(0)?)?;
            let from = parts(nth(1)?).map(|name| self.operand(name));
            let from = from.collect::<Result<_, _>>()?;
            return Ok(What::Store {
                from,
                base: self.operand(base)?,
                offset,
                size: bytes_of(kind)?,
            });
        }
        if opcode.starts_with("mov.b") && (nth(0)?.starts_with('{') || nth(1)?.starts_with('{')) {
            let bits = |count: usize| Ok::<_, String>((8 * bytes_of(kind)? / count) as u32);
            if nth(0)?.starts_with('{') {
                let to = self.names(nth(0)?);
                let bits = bits(to.len())?;
                let from = self.operand(nth(1)?)?;
                return Ok(What::Unpack { to, from, bits });
            }
            let from = parts(nth(1)?).map(|name| self.operand(name));
            let from: Vec<_> = from.collect::<Result<_, _>>()?;
            let bits = bits(from.len())?;
            let to = self.register(nth(0)?);
            return Ok(What::Pack { to, from, bits });
        }
        let function = compute::function(opcode).ok_or("unknown instruction")?;
        let mut from = [Operand::Value(0); 4];
        if operands.len() > 5 {
            return Err("too many operands".to_owned());
        }
        for (slot, name) in from.iter_mut().zip(&operands[1..]) {
            *slot = self.operand(name)?;
        }
        let to = self.register(nth(0)?);
        Ok(What::Compute { function, to, from })
    }

    /// Registers in braces, or one.
    fn names(&mut self, text: &str) -> Vec<usize> {
        parts(text).map(|name| self.register(name)).collect()
    }

    fn operand(&mut self, text: &str) -> Result<Operand, String> {
        if let Some(at) = self.shared.get(text) {
            return Ok(Operand::Value(*at));
        }
        if text.starts_with('%') {
            return Ok(Operand::Register(self.register(text)));
        }
        let hex = |digits: &str| u64::from_str_radix(digits, 16).ok();
        let found = match (text.get(..2), text.get(2..)) {
            (Some("0f" | "0d" | "0x"), Some(digits)) => hex(digits),
            _ => text.parse::<i64>().map(|number| number as u64).ok(),
        };
        found
            .map(Operand::Value)
            .ok_or_else(|| format!("unknown operand `{text}`"))
    }
}

/// Loads and stores of any kind of memory, cached or not.
fn is_access(opcode: &str, what: &str) -> bool {
    let mut words = opcode.split('.');
    words.next() == Some(what)
        && words
            .rev()
            .skip(1)
            .all(|word| matches!(word, "global" | "shared" | "nc" | "v2" | "v4"))
}

/// Size, alignment and name of `.param .u64 x` or `.align 4 .b8 x[20]`.
fn parameter(line: &str) -> Result<(usize, usize, String), String> {
    let words: Vec<&str> = line
        .trim()
        .trim_end_matches(';')
        .split_whitespace()
        .collect();
    let wrong = || format!("a declaration that is not known: {line}");
    let name = words.last().ok_or_else(wrong)?;
    let kind = words.iter().rev().nth(1).ok_or_else(wrong)?;
    let one = bytes_of(kind.trim_start_matches('.'))?;
    let align = words.iter().position(|word| *word == ".align");
    let align = align
        .and_then(|at| words.get(at + 1)?.parse().ok())
        .unwrap_or(one);
    match name.split_once('[') {
        None => Ok((one, align, (*name).to_owned())),
        Some((name, count)) => {
            let count: usize = count.trim_end_matches(']').parse().map_err(|_| wrong())?;
            Ok((one * count, align, name.to_owned()))
        }
    }
}

/// Splits operands; a group in braces or brackets is one.
fn split(text: &str) -> Vec<String> {
    let (mut found, mut depth) = (vec![String::new()], 0);
    for c in text.chars().filter(|c| !c.is_whitespace()) {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            ',' if depth == 0 => {
                found.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = found.last_mut() {
            last.push(c);
        }
    }
    found.retain(|operand| !operand.is_empty());
    found
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.trim_matches(['{', '}']).split(',')
}

/// `[%rd4+16]`: base and offset.
fn place(text: &str) -> Result<(&str, i64), String> {
    let inner = text.trim_matches(['[', ']']);
    match inner.split_once('+') {
        None => Ok((inner, 0)),
        Some((base, offset)) => {
            let offset = offset
                .parse()
                .map_err(|_| format!("unknown place `{text}`"))?;
            Ok((base, offset))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(body: &str) -> Result<BTreeMap<String, Kernel>, String> {
        kernels(&format!(
            ".visible .entry one(\n\t.param .u32 a,\n\t.param .u64 b,\n\t.param .align 4 .b8 c[20]\n)\n{{\n{body}\n}}\n"
        ))
    }

    #[test]
    fn parameters_are_aligned() {
        let found = parsed("ret;").unwrap();
        assert_eq!(found["one"].parameters, [(0, 4), (8, 8), (16, 20)]);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for (line, why) in [
            ("tanh.approx.f32 %f1, %f2;", "unknown instruction"),
            ("bra nowhere;", "unknown label"),
            (
                "atom.global.add.f32 %f1, [%rd1], %f2;",
                "unknown instruction",
            ),
            ("ld.volatile.global.f32 %f1, [%rd1];", "unknown instruction"),
            ("bar.sync 1;", "unknown instruction"),
            ("add.f32 %f1, here, %f2;", "unknown operand"),
            (".local .align 4 .b8 depot[16];", "local memory"),
        ] {
            let error = parsed(line).err().unwrap_or_default();
            assert!(error.contains(why), "{line}: {error}");
        }
    }
}
