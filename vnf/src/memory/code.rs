//! Machine code made at run time that looks at some bytes and says a number of 32 bits.
//!
//! Whatever is assembled is safe to run: loads check that they stay within the bytes and end the
//! code, with 0, where they would not; the only other memory is sixteen words below the stack
//! pointer, where a function that calls none may keep what it likes; jumps lead forward, to the
//! starts of steps, so the code ends. There are no other instructions than the methods here.
//!
//! ```text
//! rdi the bytes    rsi how many    eax A    ecx X    edx, r8d for a moment
//! ```

use std::io;
use std::mem::transmute;

use memmap2::{Mmap, MmapMut};

/// Words of memory that code has.
pub(crate) const WORDS: usize = 16;

/// The largest offset of a load: with the bytes loaded, far from what 32 bits with a sign hold.
const LARGEST_OFFSET: u32 = 0xffff;

/// A register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Register {
    A = 0,
    X = 1,
}

/// How much is loaded, in network byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    Byte = 1,
    Half = 2,
    Word = 4,
}

/// What is done to A with X or a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Add,
    Subtract,
    And,
    Or,
    Xor,
    Multiply,
    Divide,
    Remainder,
    ShiftLeft,
    ShiftRight,
}

/// When to jump, after a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Below = 0x82,
    AboveOrEqual = 0x83,
    /// Equal, or no bit in common.
    Zero = 0x84,
    /// Not equal, or some bit in common.
    NotZero = 0x85,
    BelowOrEqual = 0x86,
    Above = 0x87,
}

/// Puts code together, step by step.
#[derive(Debug)]
pub(crate) struct Assembler {
    bytes: Vec<u8>,
    /// Where each step starts.
    steps: Vec<usize>,
    /// Where a distance of 32 bits is to be filled in, and to which step; to the end with 0 if to
    /// none.
    jumps: Vec<(usize, Option<usize>)>,
}

impl Assembler {
    /// Nothing yet; A, X and the memory will be 0.
    pub(crate) fn new() -> Self {
        let mut new = Self { bytes: Vec::new(), steps: Vec::new(), jumps: Vec::new() };
        new.emit(&[0x31, 0xc0]); // xor eax, eax
        new.emit(&[0x31, 0xc9]); // xor ecx, ecx
        new
    }

    fn emit(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    fn emit_with(&mut self, bytes: &[u8], constant: u32) {
        self.emit(bytes);
        self.emit(&constant.to_le_bytes());
    }

    /// A step starts here, to which steps before it may jump.
    pub(crate) fn start_step(&mut self) {
        self.steps.push(self.bytes.len());
    }

    fn jump_by(&mut self, code: &[u8], target: Option<usize>) {
        self.emit(code);
        self.jumps.push((self.bytes.len(), target));
        self.emit(&[0; 4]);
    }

    /// Jumps to a later step.
    pub(crate) fn jump(&mut self, step: usize) {
        self.jump_by(&[0xe9], Some(step));
    }

    /// Jumps to a later step if the last comparison came out like this.
    pub(crate) fn jump_when(&mut self, when: When, step: usize) {
        self.jump_by(&[0x0f, when as u8], Some(step));
    }

    /// Ends the code with 0 if the last comparison came out like this.
    fn give_up_when(&mut self, when: When) {
        self.jump_by(&[0x0f, when as u8], None);
    }

    /// Loads what is at this offset into a register.
    pub(crate) fn load(&mut self, to: Register, width: Width, offset: u32) {
        let offset = offset.min(LARGEST_OFFSET);
        self.emit_with(&[0x81, 0xfe], offset + width as u32); // cmp esi, end
        self.give_up_when(When::Below);
        let address = 0x87 | (to as u8) << 3; // [rdi + offset]
        match width {
            Width::Byte => self.emit_with(&[0x0f, 0xb6, address], offset),
            Width::Half => self.emit_with(&[0x0f, 0xb7, address], offset),
            Width::Word => self.emit_with(&[0x8b, address], offset),
        }
        self.swap(to, width);
    }

    /// Loads what is at this offset behind X into A.
    pub(crate) fn load_indexed(&mut self, width: Width, offset: u32) {
        let offset = offset.min(LARGEST_OFFSET);
        self.emit_with(&[0x48, 0x8d, 0x91], offset + width as u32); // lea rdx, [rcx + end]
        self.emit(&[0x48, 0x39, 0xf2]); // cmp rdx, rsi
        self.give_up_when(When::Above);
        // [rdi + rcx + offset]
        match width {
            Width::Byte => self.emit_with(&[0x0f, 0xb6, 0x84, 0x0f], offset),
            Width::Half => self.emit_with(&[0x0f, 0xb7, 0x84, 0x0f], offset),
            Width::Word => self.emit_with(&[0x8b, 0x84, 0x0f], offset),
        }
        self.swap(Register::A, width);
    }

    /// From network byte order.
    fn swap(&mut self, register: Register, width: Width) {
        match width {
            Width::Byte => {}
            Width::Half => self.emit(&[0x66, 0xc1, 0xc0 | register as u8, 8]), // rol ax, 8
            Width::Word => self.emit(&[0x0f, 0xc8 | register as u8]),          // bswap eax
        }
    }

    /// Takes how many bytes there are.
    pub(crate) fn take_length(&mut self, to: Register) {
        self.emit(&[0x89, 0xf0 | to as u8]); // mov eax, esi
    }

    pub(crate) fn set(&mut self, to: Register, constant: u32) {
        self.emit_with(&[0xb8 | to as u8], constant); // mov eax, constant
    }

    /// Copies A to X.
    pub(crate) fn a_to_x(&mut self) {
        self.emit(&[0x89, 0xc1]);
    }

    /// Copies X to A.
    pub(crate) fn x_to_a(&mut self) {
        self.emit(&[0x89, 0xc8]);
    }

    /// Where a word of the memory is, from the stack pointer.
    fn below_stack(word: usize) -> u8 {
        let word = word.min(WORDS - 1) as i8;
        (4 * word - 64).cast_unsigned()
    }

    /// Makes a word of the memory 0.
    pub(crate) fn clear(&mut self, word: usize) {
        self.emit_with(&[0xc7, 0x44, 0x24, Self::below_stack(word)], 0);
    }

    pub(crate) fn store(&mut self, from: Register, word: usize) {
        self.emit(&[0x89, 0x44 | (from as u8) << 3, 0x24, Self::below_stack(word)]);
    }

    pub(crate) fn recall(&mut self, to: Register, word: usize) {
        self.emit(&[0x8b, 0x44 | (to as u8) << 3, 0x24, Self::below_stack(word)]);
    }

    /// Makes X four times its low four bits.
    pub(crate) fn words_to_bytes(&mut self) {
        self.emit(&[0x83, 0xe1, 0x0f]); // and ecx, 15
        self.emit(&[0xc1, 0xe1, 0x02]); // shl ecx, 2
    }

    pub(crate) fn negate(&mut self) {
        self.emit(&[0xf7, 0xd8]);
    }

    /// Does something to A with a constant. Dividing by 0 ends the code with 0, and a shift by 32 or
    /// more leaves 0.
    pub(crate) fn calculate(&mut self, operation: Operation, constant: u32) {
        match operation {
            Operation::Add => self.emit_with(&[0x05], constant),
            Operation::Subtract => self.emit_with(&[0x2d], constant),
            Operation::And => self.emit_with(&[0x25], constant),
            Operation::Or => self.emit_with(&[0x0d], constant),
            Operation::Xor => self.emit_with(&[0x35], constant),
            Operation::Multiply => self.emit_with(&[0x69, 0xc0], constant),
            Operation::Divide | Operation::Remainder => {
                self.emit_with(&[0x41, 0xb8], constant); // mov r8d, constant
                self.emit(&[0x45, 0x85, 0xc0]); // test r8d, r8d
                self.give_up_when(When::Zero);
                self.emit(&[0x31, 0xd2]); // xor edx, edx
                self.emit(&[0x41, 0xf7, 0xf0]); // div r8d
                self.choose_remainder(operation);
            }
            Operation::ShiftLeft | Operation::ShiftRight if constant >= 32 => {
                self.set(Register::A, 0);
            }
            Operation::ShiftLeft => self.emit(&[0xc1, 0xe0, constant as u8]),
            Operation::ShiftRight => self.emit(&[0xc1, 0xe8, constant as u8]),
        }
    }

    /// The same with X.
    pub(crate) fn calculate_with_x(&mut self, operation: Operation) {
        match operation {
            Operation::Add => self.emit(&[0x01, 0xc8]),
            Operation::Subtract => self.emit(&[0x29, 0xc8]),
            Operation::And => self.emit(&[0x21, 0xc8]),
            Operation::Or => self.emit(&[0x09, 0xc8]),
            Operation::Xor => self.emit(&[0x31, 0xc8]),
            Operation::Multiply => self.emit(&[0x0f, 0xaf, 0xc1]),
            Operation::Divide | Operation::Remainder => {
                self.emit(&[0x85, 0xc9]); // test ecx, ecx
                self.give_up_when(When::Zero);
                self.emit(&[0x31, 0xd2]); // xor edx, edx
                self.emit(&[0xf7, 0xf1]); // div ecx
                self.choose_remainder(operation);
            }
            Operation::ShiftLeft | Operation::ShiftRight => {
                let kind = if operation == Operation::ShiftLeft { 0xe0 } else { 0xe8 };
                self.emit(&[0x31, 0xd2]); // xor edx, edx
                self.emit(&[0xd3, kind]); // shl eax, cl: by X modulo 32
                self.emit(&[0x83, 0xf9, 32]); // cmp ecx, 32
                self.emit(&[0x0f, 0x43, 0xc2]); // cmovae eax, edx
            }
        }
    }

    fn choose_remainder(&mut self, operation: Operation) {
        if operation == Operation::Remainder {
            self.emit(&[0x89, 0xd0]); // mov eax, edx
        }
    }

    /// Compares A with a constant.
    pub(crate) fn compare(&mut self, constant: u32) {
        self.emit_with(&[0x3d], constant);
    }

    /// Compares A with X.
    pub(crate) fn compare_with_x(&mut self) {
        self.emit(&[0x39, 0xc8]);
    }

    /// Tests which bits A and a constant have in common.
    pub(crate) fn test(&mut self, constant: u32) {
        self.emit_with(&[0xa9], constant);
    }

    /// Tests which bits A and X have in common.
    pub(crate) fn test_with_x(&mut self) {
        self.emit(&[0x85, 0xc8]);
    }

    /// Says A.
    pub(crate) fn finish(&mut self) {
        self.emit(&[0xc3]);
    }

    /// The code, ready to run.
    pub(crate) fn code(mut self) -> io::Result<Code> {
        let end = self.bytes.len();
        self.emit(&[0x31, 0xc0, 0xc3]); // xor eax, eax; ret
        for (place, target) in self.jumps {
            let behind = place + 4;
            let to = target.map_or(Some(end), |step| self.steps.get(step).copied());
            let distance = to.and_then(|to| to.checked_sub(behind)).map(i32::try_from);
            let Some(Ok(distance)) = distance else {
                return Err(io::Error::other("code with a jump back, or to nowhere"));
            };
            self.bytes[place..behind].copy_from_slice(&distance.to_le_bytes());
        }
        let mut map = MmapMut::map_anon(self.bytes.len())?;
        map.copy_from_slice(&self.bytes);
        Ok(Code { map: map.make_exec()? })
    }
}

/// Machine code that is safe to run. Dropping it frees it.
#[derive(Debug)]
pub(crate) struct Code {
    map: Mmap,
}

impl Code {
    /// How long it is.
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    /// What it says of these bytes.
    #[inline]
    pub(crate) fn run(&self, bytes: &[u8]) -> u32 {
        type Function = unsafe extern "sysv64" fn(*const u8, usize) -> u32;
        // SAFETY: the map starts with the code that an `Assembler` has made, which is a function of
        // this type, keeps all registers that it must and is never written again.
        let function: Function = unsafe { transmute(self.map.as_ptr()) };
        // SAFETY: it reads only within `bytes`, by the checks of every load, and ends.
        unsafe { function(bytes.as_ptr(), bytes.len().min(u32::MAX as usize)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_stay_within_the_bytes() {
        for (width, bytes, whole) in
            [(Width::Byte, 1, 0x01), (Width::Half, 2, 0x0102), (Width::Word, 4, 0x0102_0304)]
        {
            for offset in [0, 1, 200, 0xffff] {
                let mut plain = Assembler::new();
                plain.load(Register::A, width, offset);
                plain.finish();
                let mut indexed = Assembler::new();
                indexed.set(Register::X, offset);
                indexed.load_indexed(width, 0);
                indexed.finish();
                for code in [plain.code().unwrap(), indexed.code().unwrap()] {
                    let mut data = vec![0xee; offset as usize];
                    data.extend(&[1, 2, 3, 4][..bytes]);
                    assert_eq!(code.run(&data), whole, "{width:?} at {offset}");
                    data.pop();
                    assert_eq!(code.run(&data), 0, "{width:?} at {offset}, one byte short");
                    assert_eq!(code.run(&[]), 0);
                }
            }
            let mut far = Assembler::new();
            far.set(Register::X, u32::MAX);
            far.load_indexed(width, 0xffff);
            far.finish();
            assert_eq!(far.code().unwrap().run(&[7; 100]), 0);
        }
    }

    #[test]
    fn jumps_lead_forward_or_nowhere() {
        for step in [0, 2] {
            let mut code = Assembler::new();
            code.start_step();
            code.jump(step);
            code.start_step();
            code.finish();
            assert!(code.code().is_err(), "{step}");
        }
    }

    #[test]
    fn division_by_zero_and_wide_shifts() {
        let of = |make: fn(&mut Assembler)| {
            let mut code = Assembler::new();
            code.set(Register::A, 100);
            make(&mut code);
            code.finish();
            code.code().unwrap().run(&[])
        };
        assert_eq!(of(|code| code.calculate(Operation::Divide, 7)), 14);
        assert_eq!(of(|code| code.calculate(Operation::Remainder, 7)), 2);
        assert_eq!(of(|code| code.calculate(Operation::Divide, 0)), 0);
        assert_eq!(of(|code| code.calculate_with_x(Operation::Remainder)), 0);
        assert_eq!(of(|code| code.calculate_with_x(Operation::ShiftLeft)), 100);
        assert_eq!(of(|code| code.calculate(Operation::ShiftRight, 32)), 0);
        assert_eq!(
            of(|code| {
                code.set(Register::X, 33);
                code.calculate_with_x(Operation::ShiftRight);
            }),
            0
        );
    }
}
