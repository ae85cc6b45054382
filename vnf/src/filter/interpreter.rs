//! Runs a program on a packet. A load from beyond the packet's end ends the program: no match.

use super::program::{Arithmetic, Condition, Instruction, Operand, Program, Size, WORDS};

/// The machine.
struct Machine<'a> {
    packet: &'a [u8],
    a: u32,
    x: u32,
    memory: [u32; WORDS],
}

impl Program {
    /// Does this packet, from its IP header to its end, match?
    #[must_use]
    pub fn matches(&self, packet: &[u8]) -> bool {
        self.run(packet).is_some_and(|returned| returned != 0)
    }

    fn run(&self, packet: &[u8]) -> Option<u32> {
        let mut machine = Machine { packet, a: 0, x: 0, memory: [0; WORDS] };
        let mut rest = self.instructions().iter();
        // Jumps go forward only: this ends.
        loop {
            let skipped = match *rest.next()? {
                Instruction::ReturnConstant(value) => return Some(value),
                Instruction::ReturnA => return Some(machine.a),
                Instruction::Jump(skipped) => skipped,
                Instruction::Branch { condition, operand, if_true, if_false } => {
                    if machine.holds(condition, operand) { if_true } else { if_false }
                }
                ref step => {
                    machine.step(step)?;
                    0
                }
            };
            if skipped > 0 {
                rest.nth(skipped - 1)?;
            }
        }
    }
}

impl Machine<'_> {
    /// Does what is neither jump nor return.
    #[inline]
    fn step(&mut self, instruction: &Instruction) -> Option<()> {
        match *instruction {
            Instruction::Load(size, offset) => self.a = self.load(size, offset)?,
            Instruction::LoadIndexed(size, offset) => {
                self.a = self.load(size, offset.checked_add(self.x)?)?;
            }
            Instruction::LoadLength => self.a = self.length(),
            Instruction::LoadConstant(value) => self.a = value,
            Instruction::LoadMemory(word) => self.a = *self.memory.get(word)?,
            Instruction::IndexHeaderLength(offset) => {
                self.x = (self.load(Size::Byte, offset)? & 0x0f) * 4;
            }
            Instruction::IndexLength => self.x = self.length(),
            Instruction::IndexConstant(value) => self.x = value,
            Instruction::IndexMemory(word) => self.x = *self.memory.get(word)?,
            Instruction::Store(word) => *self.memory.get_mut(word)? = self.a,
            Instruction::StoreIndex(word) => *self.memory.get_mut(word)? = self.x,
            Instruction::Arithmetic(operation, operand) => {
                self.a = self.calculated(operation, self.value(operand))?;
            }
            Instruction::Negate => self.a = self.a.wrapping_neg(),
            Instruction::AToX => self.x = self.a,
            Instruction::XToA => self.a = self.x,
            Instruction::Jump(_)
            | Instruction::Branch { .. }
            | Instruction::ReturnConstant(_)
            | Instruction::ReturnA => {}
        }
        Some(())
    }

    #[inline]
    fn load(&self, size: Size, offset: u32) -> Option<u32> {
        let bytes = self.packet.get(offset as usize..)?;
        Some(match size {
            Size::Byte => u32::from(*bytes.first()?),
            Size::Half => u32::from(u16::from_be_bytes(*bytes.first_chunk()?)),
            Size::Word => u32::from_be_bytes(*bytes.first_chunk()?),
        })
    }

    fn length(&self) -> u32 {
        self.packet.len() as u32
    }

    #[inline]
    fn value(&self, operand: Operand) -> u32 {
        match operand {
            Operand::Constant(value) => value,
            Operand::X => self.x,
        }
    }

    #[inline]
    fn holds(&self, condition: Condition, operand: Operand) -> bool {
        let value = self.value(operand);
        match condition {
            Condition::Equal => self.a == value,
            Condition::Greater => self.a > value,
            Condition::GreaterOrEqual => self.a >= value,
            Condition::AnyBit => self.a & value != 0,
        }
    }

    /// Division by zero ends the program; a shift by all bits or more leaves none.
    #[inline]
    fn calculated(&self, operation: Arithmetic, by: u32) -> Option<u32> {
        let a = self.a;
        Some(match operation {
            Arithmetic::Add => a.wrapping_add(by),
            Arithmetic::Subtract => a.wrapping_sub(by),
            Arithmetic::Multiply => a.wrapping_mul(by),
            Arithmetic::Divide => a.checked_div(by)?,
            Arithmetic::Remainder => a.checked_rem(by)?,
            Arithmetic::And => a & by,
            Arithmetic::Or => a | by,
            Arithmetic::Xor => a ^ by,
            Arithmetic::ShiftLeft => a.checked_shl(by).unwrap_or(0),
            Arithmetic::ShiftRight => a.checked_shr(by).unwrap_or(0),
        })
    }
}
