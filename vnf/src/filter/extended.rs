//! Translates a program to the extended machine (eBPF) that DPDK makes machine code of. DPDK's own
//! converter is not used: it needs a running EAL, it loads words and bytes behind A instead of X,
//! and its tests for small bit masks become wrong machine code. Here no instruction is made that
//! its code generator gets wrong, and what ends a program early for libpcap (a load beyond the
//! packet, a division by zero) jumps to an end of its own.
//!
//! ```text
//! r0 A    r6 the packet's mbuf    r7 X    r8 for a moment    r10 the memory's end
//! ```
//!
//! All arithmetic is on 32 bits, so the upper halves of A and X are always zero.

use super::program::{Arithmetic, Condition, Instruction, Operand, Program, Size, WORDS};

/// Where the machine finds what is not in the packet's bytes.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// The packet's length, 32 bits, in what the program is called with.
    pub length: i16,
}

const A: u8 = 0;
const ARGUMENT: u8 = 1;
const PACKET: u8 = 6;
const X: u8 = 7;
const SCRATCH: u8 = 8;
const FRAME: u8 = 10;

/// Codes that the classic machine does not have, and those that both have.
mod code {
    pub(super) const LD_ABS: u8 = 0x20;
    pub(super) const LD_IND: u8 = 0x40;
    pub(super) const LDX_MEM_W: u8 = 0x61;
    pub(super) const STX_MEM_W: u8 = 0x63;
    pub(super) const ALU: u8 = 0x04;
    pub(super) const ALU64: u8 = 0x07;
    pub(super) const JMP: u8 = 0x05;
    pub(super) const BY_REGISTER: u8 = 0x08;
    pub(super) const MOV: u8 = 0xb0;
    pub(super) const NEG: u8 = 0x80;
    pub(super) const JA: u8 = 0x00;
    pub(super) const JEQ: u8 = 0x10;
    pub(super) const JGT: u8 = 0x20;
    pub(super) const JGE: u8 = 0x30;
    pub(super) const JSET: u8 = 0x40;
    pub(super) const EXIT: u8 = 0x90;
}

/// The largest offset behind X that a packet's length, of 16 bits, leaves room for.
const LARGEST_INDEX: u32 = 0xffff;

/// The instructions of the extended machine, each a word as it lies in memory.
#[must_use]
pub fn translate(program: &Program, layout: Layout) -> Vec<u64> {
    let mut out = Translation { words: Vec::new(), jumps: Vec::new() };
    out.set(A, 0);
    out.set(X, 0);
    out.emit(code::ALU64 | code::MOV | code::BY_REGISTER, PACKET, ARGUMENT, 0, 0);
    let mut starts = Vec::with_capacity(program.len());
    for (at, instruction) in program.instructions().iter().enumerate() {
        starts.push(out.words.len());
        out.translate(at, instruction, layout);
    }
    out.finish(&starts)
}

/// Where a jump leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// The classic instruction of this number.
    Instruction(usize),
    /// No match.
    NoMatch,
}

struct Translation {
    words: Vec<u64>,
    /// Jumps whose distance is not known yet.
    jumps: Vec<(usize, Target)>,
}

impl Translation {
    fn emit(&mut self, code: u8, to: u8, from: u8, distance: i16, constant: u32) {
        let low = u64::from(code) | u64::from(to) << 8 | u64::from(from) << 12;
        let high = u64::from(distance as u16) << 16 | u64::from(constant) << 32;
        self.words.push(low | high);
    }

    fn set(&mut self, register: u8, constant: u32) {
        self.emit(code::ALU | code::MOV, register, 0, 0, constant);
    }

    fn copy(&mut self, to: u8, from: u8) {
        self.emit(code::ALU | code::MOV | code::BY_REGISTER, to, from, 0, 0);
    }

    fn calculate(&mut self, operation: u8, register: u8, constant: u32) {
        self.emit(code::ALU | operation, register, 0, 0, constant);
    }

    fn exit(&mut self) {
        self.emit(code::JMP | code::EXIT, 0, 0, 0, 0);
    }

    /// Jumps to `target` if `register` compares like this with a constant.
    fn jump_if(&mut self, condition: u8, register: u8, constant: u32, target: Target) {
        self.jumps.push((self.words.len(), target));
        self.emit(code::JMP | condition, register, 0, 0, constant);
    }

    fn jump(&mut self, target: Target) {
        self.jump_if(code::JA, 0, 0, target);
    }

    fn translate(&mut self, at: usize, instruction: &Instruction, layout: Layout) {
        match *instruction {
            Instruction::Load(size, offset) => self.load(size, offset),
            Instruction::LoadIndexed(size, offset) => {
                self.jump_if(code::JGT, X, LARGEST_INDEX, Target::NoMatch);
                self.emit(code::LD_IND | size_code(size), A, X, 0, offset);
            }
            Instruction::LoadLength => self.emit(code::LDX_MEM_W, A, PACKET, layout.length, 0),
            Instruction::LoadConstant(value) => self.set(A, value),
            Instruction::LoadMemory(word) => {
                self.emit(code::LDX_MEM_W, A, FRAME, in_frame(word), 0);
            }
            Instruction::IndexHeaderLength(offset) => {
                self.copy(SCRATCH, A);
                self.load(Size::Byte, offset);
                self.calculate(AND, A, 0x0f);
                self.calculate(SHIFT_LEFT, A, 2);
                self.copy(X, A);
                self.copy(A, SCRATCH);
            }
            Instruction::IndexLength => self.emit(code::LDX_MEM_W, X, PACKET, layout.length, 0),
            Instruction::IndexConstant(value) => self.set(X, value),
            Instruction::IndexMemory(word) => {
                self.emit(code::LDX_MEM_W, X, FRAME, in_frame(word), 0);
            }
            Instruction::Store(word) => self.emit(code::STX_MEM_W, FRAME, A, in_frame(word), 0),
            Instruction::StoreIndex(word) => {
                self.emit(code::STX_MEM_W, FRAME, X, in_frame(word), 0);
            }
            Instruction::Arithmetic(operation, operand) => self.arithmetic(operation, operand),
            Instruction::Negate => self.calculate(code::NEG, A, 0),
            Instruction::AToX => self.copy(X, A),
            Instruction::XToA => self.copy(A, X),
            Instruction::Jump(skipped) => self.jump(Target::Instruction(at + 1 + skipped)),
            Instruction::Branch { condition, operand, if_true, if_false } => {
                self.branch(condition, operand, Target::Instruction(at + 1 + if_true));
                if if_false > 0 {
                    self.jump(Target::Instruction(at + 1 + if_false));
                }
            }
            Instruction::ReturnConstant(value) => {
                self.set(A, value);
                self.exit();
            }
            Instruction::ReturnA => self.exit(),
        }
    }

    fn load(&mut self, size: Size, offset: u32) {
        self.emit(code::LD_ABS | size_code(size), A, 0, 0, offset);
    }

    fn arithmetic(&mut self, operation: Arithmetic, operand: Operand) {
        let code = operation_code(operation);
        if let Operand::Constant(by) = operand {
            return self.calculate(code, A, by);
        }
        let by_x = code::ALU | code | code::BY_REGISTER;
        match operation {
            Arithmetic::Divide | Arithmetic::Remainder => {
                self.jump_if(code::JEQ, X, 0, Target::NoMatch);
                self.emit(by_x, A, X, 0, 0);
            }
            Arithmetic::ShiftLeft | Arithmetic::ShiftRight => {
                // The processor would shift by X modulo 32.
                self.emit(code::JMP | code::JGT, X, 0, 2, 31);
                self.emit(by_x, A, X, 0, 0);
                self.emit(code::JMP | code::JA, 0, 0, 1, 0);
                self.set(A, 0);
            }
            _ => self.emit(by_x, A, X, 0, 0),
        }
    }

    fn branch(&mut self, condition: Condition, operand: Operand, target: Target) {
        let code = match condition {
            Condition::Equal => code::JEQ,
            Condition::Greater => code::JGT,
            Condition::GreaterOrEqual => code::JGE,
            Condition::AnyBit => code::JSET,
        };
        let register = match operand {
            Operand::X => X,
            // Constants are signed there, and 64 bits are compared; and the code that is made for
            // tests of a few bits is wrong.
            Operand::Constant(value)
                if condition == Condition::AnyBit || value > i32::MAX as u32 =>
            {
                self.set(SCRATCH, value);
                SCRATCH
            }
            Operand::Constant(value) => return self.jump_if(code, A, value, target),
        };
        self.jumps.push((self.words.len(), target));
        self.emit(code::JMP | code | code::BY_REGISTER, A, register, 0, 0);
    }

    /// Adds the end that says "no match", where it is needed, and fills in the jumps' distances.
    fn finish(mut self, starts: &[usize]) -> Vec<u64> {
        let end = self.words.len();
        if self.jumps.iter().any(|&(_, target)| target == Target::NoMatch) {
            self.set(A, 0);
            self.exit();
        }
        for (from, target) in self.jumps {
            // A program jumps forward, within itself.
            let to = match target {
                Target::Instruction(number) => starts[number],
                Target::NoMatch => end,
            };
            // No program is so long that this would not fit.
            let distance = (to - from - 1) as u16;
            self.words[from] |= u64::from(distance) << 16;
        }
        self.words
    }
}

const AND: u8 = 0x50;
const SHIFT_LEFT: u8 = 0x60;

fn operation_code(operation: Arithmetic) -> u8 {
    match operation {
        Arithmetic::Add => 0x00,
        Arithmetic::Subtract => 0x10,
        Arithmetic::Multiply => 0x20,
        Arithmetic::Divide => 0x30,
        Arithmetic::Or => 0x40,
        Arithmetic::And => AND,
        Arithmetic::ShiftLeft => SHIFT_LEFT,
        Arithmetic::ShiftRight => 0x70,
        Arithmetic::Remainder => 0x90,
        Arithmetic::Xor => 0xa0,
    }
}

fn size_code(size: Size) -> u8 {
    match size {
        Size::Word => 0x00,
        Size::Half => 0x08,
        Size::Byte => 0x10,
    }
}

/// Where a word of the memory is, from the frame's end.
fn in_frame(word: usize) -> i16 {
    (word as i16 - WORDS as i16) * 4
}
