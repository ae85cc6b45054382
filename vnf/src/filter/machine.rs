//! A program as machine code: instruction by instruction, what the interpreter does.

use std::io;

use super::program::{Arithmetic, Condition, Instruction, Operand, Program, Size};
use crate::memory::code::{Assembler, Code, Operation, Register, When, Width};

/// Makes machine code of a program.
pub(super) fn machine_code(program: &Program) -> io::Result<Code> {
    let mut out = Assembler::new();
    for instruction in program.instructions() {
        if let Instruction::LoadMemory(word) | Instruction::IndexMemory(word) = *instruction {
            out.clear(word);
        }
    }
    for (at, instruction) in program.instructions().iter().enumerate() {
        out.start_step();
        assemble(&mut out, at + 1, instruction);
    }
    out.code()
}

/// One instruction; `next` is the number of the following one.
fn assemble(out: &mut Assembler, next: usize, instruction: &Instruction) {
    use Register::{A, X};
    match *instruction {
        Instruction::Load(size, offset) => out.load(A, width(size), offset),
        Instruction::LoadIndexed(size, offset) => out.load_indexed(width(size), offset),
        Instruction::LoadLength => out.take_length(A),
        Instruction::LoadConstant(value) => out.set(A, value),
        Instruction::LoadMemory(word) => out.recall(A, word),
        Instruction::IndexHeaderLength(offset) => {
            out.load(X, Width::Byte, offset);
            out.words_to_bytes();
        }
        Instruction::IndexLength => out.take_length(X),
        Instruction::IndexConstant(value) => out.set(X, value),
        Instruction::IndexMemory(word) => out.recall(X, word),
        Instruction::Store(word) => out.store(A, word),
        Instruction::StoreIndex(word) => out.store(X, word),
        Instruction::Arithmetic(arithmetic, Operand::Constant(value)) => {
            out.calculate(operation(arithmetic), value);
        }
        Instruction::Arithmetic(arithmetic, Operand::X) => {
            out.calculate_with_x(operation(arithmetic));
        }
        Instruction::Negate => out.negate(),
        Instruction::Jump(skipped) => out.jump(next + skipped),
        Instruction::Branch { condition, operand, if_true, if_false } => {
            match (condition, operand) {
                (Condition::AnyBit, Operand::Constant(value)) => out.test(value),
                (Condition::AnyBit, Operand::X) => out.test_with_x(),
                (_, Operand::Constant(value)) => out.compare(value),
                (_, Operand::X) => out.compare_with_x(),
            }
            let (holds, fails) = jumps(condition);
            if if_true == 0 {
                out.jump_when(fails, next + if_false);
            } else {
                out.jump_when(holds, next + if_true);
                if if_false > 0 {
                    out.jump(next + if_false);
                }
            }
        }
        Instruction::ReturnConstant(value) => {
            out.set(A, value);
            out.finish();
        }
        Instruction::ReturnA => out.finish(),
        Instruction::AToX => out.a_to_x(),
        Instruction::XToA => out.x_to_a(),
    }
}

/// When a condition holds, and when it does not.
fn jumps(condition: Condition) -> (When, When) {
    match condition {
        Condition::Equal => (When::Zero, When::NotZero),
        Condition::AnyBit => (When::NotZero, When::Zero),
        Condition::Greater => (When::Above, When::BelowOrEqual),
        Condition::GreaterOrEqual => (When::AboveOrEqual, When::Below),
    }
}

fn operation(arithmetic: Arithmetic) -> Operation {
    match arithmetic {
        Arithmetic::Add => Operation::Add,
        Arithmetic::Subtract => Operation::Subtract,
        Arithmetic::Multiply => Operation::Multiply,
        Arithmetic::Divide => Operation::Divide,
        Arithmetic::Remainder => Operation::Remainder,
        Arithmetic::And => Operation::And,
        Arithmetic::Or => Operation::Or,
        Arithmetic::Xor => Operation::Xor,
        Arithmetic::ShiftLeft => Operation::ShiftLeft,
        Arithmetic::ShiftRight => Operation::ShiftRight,
    }
}

fn width(size: Size) -> Width {
    match size {
        Size::Byte => Width::Byte,
        Size::Half => Width::Half,
        Size::Word => Width::Word,
    }
}
