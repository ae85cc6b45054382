//! The instructions of the classic packet filter machine: an accumulator A, an index X and sixteen
//! words of memory. A [`Program`] has been checked: it ends, it jumps forward only and within
//! itself, and it can become machine code.

use std::fmt;

/// The most instructions of a program, as other machines have it, too.
const LONGEST: usize = 4096;

/// Words of memory.
pub(super) use crate::memory::code::WORDS;

/// The longest packet there is a point in looking into.
const LONGEST_PACKET: u32 = 65_535;

/// Linux keeps what is not in the packet (the interface, the direction) at offsets from here on.
const METADATA: u32 = 0xffff_f000;

/// So many kinds of it.
const METADATA_KINDS: u32 = 64;

/// A program that is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program(Vec<Instruction>);

/// An instruction as libpcap makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) code: u16,
    pub(super) if_true: u8,
    pub(super) if_false: u8,
    pub(super) k: u32,
}

/// How much of the packet is loaded, in network byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    Byte,
    Half,
    Word,
}

impl Size {
    pub(super) fn bytes(self) -> u32 {
        match self {
            Self::Byte => 1,
            Self::Half => 2,
            Self::Word => 4,
        }
    }
}

/// The second operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operand {
    Constant(u32),
    X,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRight,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Equal,
    Greater,
    GreaterOrEqual,
    AnyBit,
}

/// One instruction. Jumps say how many instructions are skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Instruction {
    /// A becomes what is in the packet at this offset.
    Load(Size, u32),
    /// A becomes what is in the packet at this offset behind X.
    LoadIndexed(Size, u32),
    /// A becomes the packet's length.
    LoadLength,
    LoadConstant(u32),
    LoadMemory(usize),
    /// X becomes four times the low half of the packet's byte at this offset: a header's length.
    IndexHeaderLength(u32),
    IndexLength,
    IndexConstant(u32),
    IndexMemory(usize),
    Store(usize),
    StoreIndex(usize),
    Arithmetic(Arithmetic, Operand),
    Negate,
    Jump(usize),
    Branch {
        condition: Condition,
        operand: Operand,
        if_true: usize,
        if_false: usize,
    },
    ReturnConstant(u32),
    ReturnA,
    AToX,
    XToA,
}

/// Why a program is refused: what it does that cannot be converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unsupported {
    /// It jumps back.
    Loop,
    /// It asks for what is not in the packet.
    Metadata,
    /// It looks at a byte that no packet has.
    Beyond(u32),
    /// It looks in front of the packet.
    Before(i32),
    TooLong(usize),
    /// libpcap does not make this.
    Malformed(usize),
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loop => f.write_str(
                "needs a loop, which cannot be converted to machine code: protochain walks a chain of \
                 headers; proto looks at the first one only",
            ),
            Self::Metadata => f.write_str(
                "asks for something that is not in the packet (inbound, outbound and the like), \
                 which cannot be converted to machine code: ingress and egress filters are keys of their \
                 own",
            ),
            Self::Beyond(offset) => {
                write!(f, "looks at byte {offset}, which no packet has: the last one is {}", LONGEST_PACKET - 1)
            }
            Self::Before(offset) => {
                write!(f, "looks at byte {offset}, which is in front of the packet: the first one is 0")
            }
            Self::TooLong(length) => write!(
                f,
                "comes to {length} instructions, which cannot be converted to machine code: at most \
                 {LONGEST}; networks instead of many hosts make it shorter"
            ),
            Self::Malformed(at) => {
                write!(f, "comes to an instruction that is unknown (number {at})")
            }
        }
    }
}

impl Program {
    /// Reads and checks what libpcap has made.
    pub(super) fn new(raw: &[Raw]) -> Result<Self, Unsupported> {
        if raw.len() > LONGEST {
            return Err(Unsupported::TooLong(raw.len()));
        }
        let mut instructions = Vec::with_capacity(raw.len());
        for (at, this) in raw.iter().enumerate() {
            let following = raw.len() - at - 1;
            instructions.push(this.decoded(following)?.ok_or(Unsupported::Malformed(at))?);
        }
        let returns = matches!(
            instructions.last(),
            Some(Instruction::ReturnConstant(_) | Instruction::ReturnA)
        );
        if returns { Ok(Self(instructions)) } else { Err(Unsupported::Malformed(raw.len())) }
    }

    pub(super) fn instructions(&self) -> &[Instruction] {
        &self.0
    }

    /// How many instructions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// A program returns at least.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The parts of an instruction's code.
mod code {
    pub(super) const CLASS: u16 = 0x07;
    pub(super) const LD: u16 = 0x00;
    pub(super) const LDX: u16 = 0x01;
    pub(super) const ST: u16 = 0x02;
    pub(super) const STX: u16 = 0x03;
    pub(super) const ALU: u16 = 0x04;
    pub(super) const JMP: u16 = 0x05;
    pub(super) const RET: u16 = 0x06;
    pub(super) const MISC: u16 = 0x07;

    pub(super) const SIZE: u16 = 0x18;
    pub(super) const MODE: u16 = 0xe0;
    pub(super) const IMM: u16 = 0x00;
    pub(super) const ABS: u16 = 0x20;
    pub(super) const IND: u16 = 0x40;
    pub(super) const MEM: u16 = 0x60;
    pub(super) const LEN: u16 = 0x80;
    pub(super) const MSH: u16 = 0xa0;

    pub(super) const OPERATION: u16 = 0xf0;
    pub(super) const X: u16 = 0x08;
    pub(super) const RETURN_A: u16 = 0x10;
    pub(super) const TXA: u16 = 0x80;
}

impl Raw {
    /// What it means; `None` for an instruction that does not exist. `following` is how many come
    /// after it.
    fn decoded(&self, following: usize) -> Result<Option<Instruction>, Unsupported> {
        let word = || Some(self.k as usize).filter(|&word| word < WORDS);
        let mode = self.code & code::MODE;
        Ok(match self.code & code::CLASS {
            code::LD => match mode {
                code::ABS => self.load(Instruction::Load)?,
                code::IND => self.load(Instruction::LoadIndexed)?,
                code::IMM => Some(Instruction::LoadConstant(self.k)),
                code::MEM => word().map(Instruction::LoadMemory),
                code::LEN => Some(Instruction::LoadLength),
                _ => None,
            },
            code::LDX => match mode {
                code::MSH => Some(Instruction::IndexHeaderLength(within_packet(self.k, 1)?)),
                code::IMM => Some(Instruction::IndexConstant(self.k)),
                code::MEM => word().map(Instruction::IndexMemory),
                code::LEN => Some(Instruction::IndexLength),
                _ => None,
            },
            code::ST => word().map(Instruction::Store),
            code::STX => word().map(Instruction::StoreIndex),
            code::ALU => self.arithmetic(),
            code::JMP => self.jump(following)?,
            code::RET if self.code & code::RETURN_A != 0 => Some(Instruction::ReturnA),
            code::RET => Some(Instruction::ReturnConstant(self.k)),
            code::MISC if self.code & code::TXA != 0 => Some(Instruction::XToA),
            _ => Some(Instruction::AToX),
        })
    }

    fn load(
        &self,
        load: impl Fn(Size, u32) -> Instruction,
    ) -> Result<Option<Instruction>, Unsupported> {
        let size = match self.code & code::SIZE {
            0x00 => Size::Word,
            0x08 => Size::Half,
            0x10 => Size::Byte,
            _ => return Ok(None),
        };
        Ok(Some(load(size, within_packet(self.k, size.bytes())?)))
    }

    fn operand(&self) -> Operand {
        if self.code & code::X == 0 { Operand::Constant(self.k) } else { Operand::X }
    }

    fn arithmetic(&self) -> Option<Instruction> {
        let operation = match self.code & code::OPERATION {
            0x00 => Arithmetic::Add,
            0x10 => Arithmetic::Subtract,
            0x20 => Arithmetic::Multiply,
            0x30 => Arithmetic::Divide,
            0x40 => Arithmetic::Or,
            0x50 => Arithmetic::And,
            0x60 => Arithmetic::ShiftLeft,
            0x70 => Arithmetic::ShiftRight,
            0x80 => return Some(Instruction::Negate),
            0x90 => Arithmetic::Remainder,
            0xa0 => Arithmetic::Xor,
            _ => return None,
        };
        let is_defined = match (operation, self.operand()) {
            (Arithmetic::Divide | Arithmetic::Remainder, Operand::Constant(by)) => by != 0,
            (Arithmetic::ShiftLeft | Arithmetic::ShiftRight, Operand::Constant(by)) => by < 32,
            _ => true,
        };
        is_defined.then_some(Instruction::Arithmetic(operation, self.operand()))
    }

    fn jump(&self, following: usize) -> Result<Option<Instruction>, Unsupported> {
        let condition = match self.code & code::OPERATION {
            // A step back is a negative number to libpcap.
            0x00 if self.k > i32::MAX as u32 => return Err(Unsupported::Loop),
            0x00 => {
                let skipped = Some(self.k as usize).filter(|&skipped| skipped < following);
                return Ok(skipped.map(Instruction::Jump));
            }
            0x10 => Condition::Equal,
            0x20 => Condition::Greater,
            0x30 => Condition::GreaterOrEqual,
            0x40 => Condition::AnyBit,
            _ => return Ok(None),
        };
        let (if_true, if_false) = (usize::from(self.if_true), usize::from(self.if_false));
        let branch = Instruction::Branch { condition, operand: self.operand(), if_true, if_false };
        Ok((if_true.max(if_false) < following).then_some(branch))
    }
}

/// An offset at which so many bytes can be.
fn within_packet(offset: u32, bytes: u32) -> Result<u32, Unsupported> {
    if (METADATA..METADATA + METADATA_KINDS).contains(&offset) {
        Err(Unsupported::Metadata)
    } else if offset.cast_signed() < 0 {
        Err(Unsupported::Before(offset.cast_signed()))
    } else if offset > LONGEST_PACKET - bytes {
        Err(Unsupported::Beyond(offset))
    } else {
        Ok(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETURN: Raw = Raw { code: code::RET, if_true: 0, if_false: 0, k: 1 };

    fn first(code: u16, if_true: u8, if_false: u8, k: u32) -> Result<Instruction, Unsupported> {
        let raw = Raw { code, if_true, if_false, k };
        Program::new(&[raw, RETURN, RETURN]).map(|program| program.instructions()[0])
    }

    #[test]
    fn what_could_fail_while_it_runs_is_refused() {
        let malformed = Err(Unsupported::Malformed(0));
        let (div, shift) = (code::ALU | 0x30, code::ALU | 0x60);
        assert_eq!(first(div, 0, 0, 0), malformed);
        assert_eq!(first(shift, 0, 0, 32), malformed);
        assert_eq!(first(code::ST, 0, 0, 16), malformed);
        assert_eq!(first(code::LD | code::MEM, 0, 0, 16), malformed);
        assert_eq!(first(code::JMP, 0, 0, 2), malformed, "past the end");
        assert_eq!(first(code::JMP | 0x10, 2, 0, 2), malformed);
        assert_eq!(first(code::JMP | 0x10, 0, 2, 2), malformed);
        assert_eq!(first(code::JMP, 0, 0, u32::MAX), Err(Unsupported::Loop));
        assert_eq!(first(code::ABS, 0, 0, 65_531), Ok(Instruction::Load(Size::Word, 65_531)));
        assert_eq!(first(code::ABS, 0, 0, 65_532), Err(Unsupported::Beyond(65_532)));
        assert_eq!(first(code::ABS, 0, 0, 0xffff_f004), Err(Unsupported::Metadata));
    }

    #[test]
    fn a_program_returns_and_is_no_longer_than_can_be() {
        assert_eq!(Program::new(&[]), Err(Unsupported::Malformed(0)));
        let tax = Raw { code: code::MISC, ..RETURN };
        assert_eq!(Program::new(&[RETURN, tax]), Err(Unsupported::Malformed(2)));
        assert!(Program::new(&[RETURN; LONGEST]).is_ok());
        assert_eq!(Program::new(&[RETURN; LONGEST + 1]), Err(Unsupported::TooLong(LONGEST + 1)));
    }
}
