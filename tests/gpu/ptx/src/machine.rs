//! Runs a kernel: blocks one after another, and within a block each warp as far as possible before the next one starts,
//! which exposes missing barriers.
//!
//! Lanes of a warp diverge at branches; the lowest instruction runs first, which makes them reconverge. An operation of
//! the whole warp waits for all lanes, and is an error if one has ended or waits elsewhere.

use crate::launches::Launch;
use crate::memory::{Memory, address};
use crate::parse::{Instruction, Kernel, Operand, SPECIAL, What};

const LANES: usize = 32;
/// Number of instructions after which a warp is considered hung.
const MOST: u64 = 1 << 28;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    /// At an instruction that needs the whole warp.
    InWarp,
    AtBarrier,
    Ended,
}

struct Warp {
    registers: Vec<[u64; LANES]>,
    at: [usize; LANES],
    state: [State; LANES],
    steps: u64,
}

/// Runs all blocks of a launch, or a single one.
///
/// # Errors
/// Undefined behaviour in CUDA, or an unsupported instruction, with its place.
pub(crate) fn run(kernel: &Kernel, launch: &Launch, memory: &mut Memory) -> Result<(), String> {
    let parameters = parameters(kernel, launch)?;
    let [x, y, z] = launch.grid;
    if z != 1 || launch.block[1] != 1 || launch.block[2] != 1 {
        return Err("blocks of two dimensions, or grids of three, are not known".to_owned());
    }
    let one = u64::from(launch.only_block);
    let blocks = if one == 0 {
        0..u64::from(x) * u64::from(y)
    } else {
        one..one + 1
    };
    for block in blocks {
        memory.begin_block(kernel.shared);
        let place = [block % u64::from(x), block / u64::from(x)];
        let mut warps: Vec<Warp> = (0..launch.block[0] as usize)
            .step_by(LANES)
            .map(|first| Warp::new(kernel, launch, first, place))
            .collect();
        run_block(kernel, &parameters, memory, &mut warps)
            .map_err(|why| format!("block {block}: {why}"))?;
    }
    Ok(())
}

/// The parameter block, with pointers as addresses.
fn parameters(kernel: &Kernel, launch: &Launch) -> Result<Vec<u8>, String> {
    let sizes: Vec<usize> = launch.parameters.iter().map(|p| p.bytes.len()).collect();
    let declared: Vec<usize> = kernel.parameters.iter().map(|(_, size)| *size).collect();
    if sizes != declared {
        return Err(format!("parameters of {sizes:?} bytes for {declared:?}"));
    }
    let mut block = Vec::new();
    for ((at, size), parameter) in kernel.parameters.iter().zip(&launch.parameters) {
        block.resize(at + size, 0);
        match parameter.target {
            None => block[*at..].copy_from_slice(&parameter.bytes),
            Some(target) => block[*at..].copy_from_slice(&address(target).to_le_bytes()),
        }
    }
    Ok(block)
}

fn run_block(
    kernel: &Kernel,
    parameters: &[u8],
    memory: &mut Memory,
    warps: &mut [Warp],
) -> Result<(), String> {
    loop {
        for (number, warp) in warps.iter_mut().enumerate() {
            warp.run(kernel, parameters, memory)
                .map_err(|why| format!("warp {number} {why}"))?;
        }
        // All lanes that have not ended are at the barrier.
        let mut waiting = false;
        for warp in warps.iter_mut() {
            for state in &mut warp.state {
                if *state == State::AtBarrier {
                    *state = State::Ready;
                    waiting = true;
                }
            }
        }
        if !waiting {
            return Ok(());
        }
    }
}

impl Warp {
    fn new(kernel: &Kernel, launch: &Launch, first: usize, [x, y]: [u64; 2]) -> Self {
        let mut registers = vec![[0; LANES]; kernel.registers];
        let threads = launch.block[0];
        let shape = [threads, launch.grid[0], launch.grid[1]].map(u64::from);
        let values = [x, y, shape[0], shape[1], shape[2]];
        for (register, value) in registers.iter_mut().take(SPECIAL.len()).skip(1).zip(values) {
            *register = [value; LANES];
        }
        registers[0] = std::array::from_fn(|lane| (first + lane) as u64);
        let state = |lane: usize| match first + lane < threads as usize {
            true => State::Ready,
            false => State::Ended,
        };
        Self {
            registers,
            at: [0; LANES],
            state: std::array::from_fn(state),
            steps: 0,
        }
    }

    /// Runs until every lane has ended or is at a barrier.
    fn run(
        &mut self,
        kernel: &Kernel,
        parameters: &[u8],
        memory: &mut Memory,
    ) -> Result<(), String> {
        loop {
            let ready = (0..LANES).filter(|lane| self.state[*lane] == State::Ready);
            let Some(next) = ready.map(|lane| self.at[lane]).min() else {
                match self.state.contains(&State::InWarp) {
                    true => self.together(kernel)?,
                    false => return Ok(()),
                }
                continue;
            };
            let Some(instruction) = kernel.code.get(next) else {
                return Err("runs beyond its last instruction".to_owned());
            };
            self.steps += 1;
            if self.steps > MOST {
                return Err(format!("does not end, at `{}`", instruction.text));
            }
            self.step(next, instruction, parameters, memory)
                .map_err(|(lane, why)| format!("lane {lane}: `{}` {why}", instruction.text))?;
        }
    }

    fn value(&self, operand: Operand, lane: usize) -> u64 {
        match operand {
            Operand::Register(register) => self.registers[register][lane],
            Operand::Value(value) => value,
        }
    }

    /// Runs one instruction for all lanes at it.
    fn step(
        &mut self,
        next: usize,
        instruction: &Instruction,
        parameters: &[u8],
        memory: &mut Memory,
    ) -> Result<(), (usize, String)> {
        for lane in 0..LANES {
            if self.state[lane] != State::Ready || self.at[lane] != next {
                continue;
            }
            self.at[lane] = next + 1;
            if let Some((guard, negated)) = instruction.guard
                && (self.registers[guard][lane] != 0) == negated
            {
                continue;
            }
            match &instruction.what {
                What::Branch(to) => self.at[lane] = *to,
                What::Return => self.state[lane] = State::Ended,
                What::Barrier => self.state[lane] = State::AtBarrier,
                What::WarpBarrier { mask } | What::Shuffle { mask, .. } => {
                    if self.value(*mask, lane) as u32 != u32::MAX {
                        return Err((lane, "has a mask of a part of a warp".to_owned()));
                    }
                    (self.at[lane], self.state[lane]) = (next, State::InWarp);
                }
                What::Mma(_) => (self.at[lane], self.state[lane]) = (next, State::InWarp),
                What::LoadParameter { to, at, size } => {
                    let mut word = [0; 8];
                    word[..*size].copy_from_slice(&parameters[*at..at + size]);
                    self.registers[*to][lane] = u64::from_le_bytes(word);
                }
                What::Load {
                    to,
                    base,
                    offset,
                    size,
                } => {
                    let at = self.value(*base, lane).wrapping_add_signed(*offset);
                    aligned(at, to.len() * size).map_err(|why| (lane, why))?;
                    for (n, to) in to.iter().enumerate() {
                        let word = memory.load(at + (n * size) as u64, *size);
                        self.registers[*to][lane] = word.map_err(|why| (lane, why))?;
                    }
                }
                What::Store {
                    from,
                    base,
                    offset,
                    size,
                } => {
                    let at = self.value(*base, lane).wrapping_add_signed(*offset);
                    aligned(at, from.len() * size).map_err(|why| (lane, why))?;
                    for (n, from) in from.iter().enumerate() {
                        let word = self.value(*from, lane);
                        let stored = memory.store(at + (n * size) as u64, *size, word);
                        stored.map_err(|why| (lane, why))?;
                    }
                }
                What::Pack { to, from, bits } => {
                    let part = |n: usize| self.value(from[n], lane) & low(*bits);
                    let word = (0..from.len()).map(|n| part(n) << (n as u32 * bits));
                    self.registers[*to][lane] = word.fold(0, |all, part| all | part);
                }
                What::Unpack { to, from, bits } => {
                    let word = self.value(*from, lane);
                    for (n, to) in to.iter().enumerate() {
                        self.registers[*to][lane] = word >> (n as u32 * bits) & low(*bits);
                    }
                }
                What::Compute { function, to, from } => {
                    let from = from.map(|operand| self.value(operand, lane));
                    self.registers[*to][lane] = function(from);
                }
            }
        }
        Ok(())
    }

    /// Runs an operation of the whole warp, once all lanes have arrived.
    fn together(&mut self, kernel: &Kernel) -> Result<(), String> {
        let waits = |lane: &usize| self.state[*lane] == State::InWarp;
        let at = (0..LANES).find(waits).map_or(0, |lane| self.at[lane]);
        let instruction = &kernel.code[at];
        let apart = (0..LANES).find(|lane| !waits(lane) || self.at[*lane] != at);
        if let Some(lane) = apart {
            let why = match self.state[lane] {
                State::Ended => "has ended",
                State::AtBarrier => "waits at a barrier",
                _ => "is elsewhere",
            };
            return Err(format!(
                "waits at `{}` for lane {lane}, which {why}",
                instruction.text
            ));
        }
        match &instruction.what {
            What::Shuffle { to, from, by, .. } => {
                let all: [u64; LANES] = std::array::from_fn(|lane| self.value(*from, lane));
                let of = |lane: usize| all[lane ^ (self.value(*by, lane) as usize & 31)];
                self.registers[*to] = std::array::from_fn(of);
            }
            What::Mma(fragments) => self.mma(fragments),
            _ => {}
        }
        self.at = [at + 1; LANES];
        self.state = [State::Ready; LANES];
        Ok(())
    }

    /// `D = A B + C`: rows and columns by lane and element, from the PTX manual ("Matrix fragments for mma.m16n8k16
    /// with floating point type"). Products are summed as in the kernels' CPU build; a GPU sums in another order and
    /// truncates.
    fn mma(&mut self, [d, a, b, c]: &[Vec<usize>; 4]) {
        let half = |register: usize, lane: usize, upper: usize| {
            let word = self.registers[register][lane] as u32;
            f32::from_bits(if upper == 1 {
                word & 0xffff_0000
            } else {
                word << 16
            })
        };
        let (mut left, mut right) = ([[0.0f32; 16]; 16], [[0.0f32; 8]; 16]);
        for lane in 0..LANES {
            let (group, pair) = (lane / 4, lane % 4 * 2);
            for n in 0..8 {
                let (row, column) = (group + 8 * (n / 2 % 2), pair + n % 2 + 8 * (n / 4));
                left[row][column] = half(a[n / 2], lane, n % 2);
            }
            for n in 0..4 {
                right[pair + n % 2 + 8 * (n / 2)][group] = half(b[n / 2], lane, n % 2);
            }
        }
        for lane in 0..LANES {
            let (group, pair) = (lane / 4, lane % 4 * 2);
            for (n, (d, c)) in d.iter().zip(c).enumerate() {
                let (row, column) = (group + 8 * (n / 2), pair + n % 2);
                let product = (0..16).map(|k| left[row][k] * right[k][column]);
                let sum = product.fold(0.0f32, |sum, product| sum + product);
                let before = f32::from_bits(self.registers[*c][lane] as u32);
                self.registers[*d][lane] = (before + sum).to_bits().into();
            }
        }
    }
}

fn low(bits: u32) -> u64 {
    u64::MAX >> (64 - bits)
}

/// Vectors are aligned to their size.
fn aligned(at: u64, size: usize) -> Result<(), String> {
    match at.is_multiple_of(size as u64) {
        true => Ok(()),
        false => Err(format!("has a misaligned address of {size} bytes")),
    }
}
