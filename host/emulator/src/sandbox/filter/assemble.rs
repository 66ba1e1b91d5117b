//! The rules of the filter as a program of the kernel's packet filter: which rule is a call's is
//! found by halving what is left, because every call of the guest pays for each instruction.

use std::collections::BTreeMap;

use super::{Rule, Test, UNLISTED, Verdict, When};
use crate::kernel::notify::Instruction;

const OFFSET_NUMBER: u32 = offset(std::mem::offset_of!(libc::seccomp_data, nr));
const OFFSET_ARCH: u32 = offset(std::mem::offset_of!(libc::seccomp_data, arch));
const OFFSET_ARGUMENTS: u32 = offset(std::mem::offset_of!(libc::seccomp_data, args));

const fn offset(offset: usize) -> u32 {
    super::low(offset as u64)
}

/// `AUDIT_ARCH_X86_64` of `linux/audit.h`: `EM_X86_64`, 64 bits, little endian.
pub const AUDIT_ARCH_X86_64: u32 = 0xC000_0000 | libc::EM_X86_64 as u32;

const LOAD_WORD: u16 = code(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS);
const JUMP: u16 = code(libc::BPF_JMP | libc::BPF_JA);
const JUMP_EQUAL: u16 = code(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K);
const JUMP_GREATER_OR_EQUAL: u16 = code(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K);
const JUMP_GREATER: u16 = code(libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K);
const JUMP_ANY_BIT: u16 = code(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K);
const RETURN: u16 = code(libc::BPF_RET | libc::BPF_K);

#[expect(
    clippy::cast_possible_truncation,
    reason = "codes of instructions have 16 bits"
)]
const fn code(code: u32) -> u16 {
    code as u16
}

/// Rules that follow each other: from this number of a call on the rule holds, up to the next.
type Segment<'a> = (u32, &'a Rule);

/// The program of these rules, by the numbers of their calls.
pub fn program(rules: &BTreeMap<u32, Rule>) -> Vec<Instruction> {
    let mut program = Program::default();
    program.load(OFFSET_ARCH);
    program.jump(JUMP_EQUAL, AUDIT_ARCH_X86_64, 1, 0);
    program.give(libc::SECCOMP_RET_KILL_PROCESS);
    program.load(OFFSET_NUMBER);
    program.search(&segments(rules));
    program.0
}

/// A program that allows every call.
pub fn allow_all() -> Vec<Instruction> {
    let mut program = Program::default();
    program.give(libc::SECCOMP_RET_ALLOW);
    program.0
}

/// A program that sends the calls of one number to the supervisor and allows all others.
pub fn notify_only(numbers: &[u32]) -> Vec<Instruction> {
    let mut program = Program::default();
    program.load(OFFSET_NUMBER);
    for number in numbers {
        program.when(When::Equals(*number), Verdict::Notify);
    }
    program.give(libc::SECCOMP_RET_ALLOW);
    program.0
}

/// What holds from 0 on for every number.
fn segments(rules: &BTreeMap<u32, Rule>) -> Vec<Segment<'_>> {
    let mut all: Vec<Segment<'_>> = Vec::new();
    let mut next = 0;
    for (number, rule) in rules {
        if *number > next {
            all.push((next, &UNLISTED));
        }
        all.push((*number, rule));
        next = number + 1;
    }
    all.push((next, &UNLISTED));
    all.dedup_by(|later, earlier| later.1 == earlier.1);
    all
}

#[derive(Default)]
struct Program(Vec<Instruction>);

impl Program {
    fn push(&mut self, code: u16, jump_true: u8, jump_false: u8, value: u32) {
        self.0.push(Instruction {
            code,
            jt: jump_true,
            jf: jump_false,
            k: value,
        });
    }

    fn load(&mut self, offset: u32) {
        self.push(LOAD_WORD, 0, 0, offset);
    }

    /// Pass over so many instructions where the loaded word meets the condition, else over others.
    fn jump(&mut self, code: u16, value: u32, held: u8, else_: u8) {
        self.push(code, held, else_, value);
    }

    fn give(&mut self, action: u32) {
        self.push(RETURN, 0, 0, action);
    }

    /// Find and follow the rule of the loaded number.
    fn search(&mut self, segments: &[Segment<'_>]) {
        let (lower, upper) = segments.split_at(segments.len() / 2);
        match (lower, upper) {
            ([], [(_, rule)]) => self.follow(rule),
            (_, [(first, _), ..]) => {
                let mut below = Self::default();
                below.search(lower);
                // A condition reaches over 255 instructions only.
                self.jump(JUMP_GREATER_OR_EQUAL, *first, 0, 1);
                self.push(JUMP, 0, 0, super::low(below.0.len() as u64));
                self.0.append(&mut below.0);
                self.search(upper);
            }
            (_, []) => {}
        }
    }

    fn follow(&mut self, rule: &Rule) {
        let mut loaded = None;
        for Test {
            argument,
            when,
            verdict,
            ..
        } in &rule.tests
        {
            // Tests of one argument follow each other.
            if loaded.replace(*argument) != Some(*argument) {
                self.load(OFFSET_ARGUMENTS + 8 * argument);
            }
            self.when(*when, *verdict);
        }
        self.give(action(rule.otherwise));
    }

    /// Return `verdict` where the loaded word meets the condition, else go on.
    fn when(&mut self, when: When, verdict: Verdict) {
        match when {
            When::Equals(value) => self.jump(JUMP_EQUAL, value, 0, 1),
            When::AnyBit(bits) => self.jump(JUMP_ANY_BIT, bits, 0, 1),
            When::Within(low, high) => {
                self.jump(JUMP_GREATER_OR_EQUAL, low, 0, 2);
                self.jump(JUMP_GREATER, high, 1, 0);
            }
        }
        self.give(action(verdict));
    }
}

fn action(verdict: Verdict) -> u32 {
    match verdict {
        Verdict::Allow => libc::SECCOMP_RET_ALLOW,
        Verdict::Notify => libc::SECCOMP_RET_USER_NOTIF,
        Verdict::Answer(errno) => libc::SECCOMP_RET_ERRNO | errno.cast_unsigned(),
    }
}

/// What the program returns for a call, as the kernel would run it, and in how many steps.
#[cfg(test)]
pub fn run(program: &[Instruction], arch: u32, call: u32, arguments: &[u32]) -> (u32, usize) {
    let (mut at, mut word) = (0_usize, 0_u32);
    for steps in 1..=program.len() {
        let i = program[at];
        at += 1;
        let hit = match i.code {
            LOAD_WORD => {
                word = match i.k {
                    OFFSET_NUMBER => call,
                    OFFSET_ARCH => arch,
                    offset => {
                        let index = ((offset - OFFSET_ARGUMENTS) / 8) as usize;
                        arguments.get(index).copied().unwrap_or(0)
                    }
                };
                continue;
            }
            JUMP => {
                at += i.k as usize;
                continue;
            }
            RETURN => return (i.k, steps),
            JUMP_EQUAL => word == i.k,
            JUMP_GREATER => word > i.k,
            JUMP_GREATER_OR_EQUAL => word >= i.k,
            JUMP_ANY_BIT => word & i.k != 0,
            code => panic!("instruction {code:#x}"),
        };
        at += usize::from(if hit { i.jt } else { i.jf });
    }
    panic!("the program does not end")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::filter::{self, LOG_FD, Options};

    fn everything() -> Options {
        Options {
            model_ioctls: false,
            model_files: true,
            model_devices: true,
            record: true,
        }
    }

    #[test]
    fn the_program_decides_what_the_rules_say() {
        let answered = [libc::SYS_openat, libc::SYS_ioctl, libc::SYS_getuid];
        for options in [Options::default(), everything()] {
            let rules = filter::rules(options, answered.into_iter());
            let program = program(&rules);
            let numbers = (0..600).chain([0x3FFF_FFFF, 0x4000_0000, u32::MAX]);
            for call in numbers {
                let rule = rules.get(&call).unwrap_or(&UNLISTED);
                // Each bound of a test, and what lies beside it.
                let bounds = rule.tests.iter().flat_map(|test| match test.when {
                    When::Equals(value) | When::AnyBit(value) => [value, value],
                    When::Within(low, high) => [low, high],
                });
                let values: Vec<u32> = bounds
                    .flat_map(|value| [value, value.wrapping_sub(1), value.wrapping_add(1)])
                    .chain([0, u32::MAX])
                    .collect();
                for value in values {
                    for index in 0..6 {
                        let mut arguments = [7; 6];
                        arguments[index] = value;
                        let held =
                            |test: &&Test| test.when.holds(arguments[test.argument as usize]);
                        let by_arguments = rule.tests.iter().find(held);
                        let expected = by_arguments.map_or(rule.otherwise, |test| test.verdict);
                        let decided = run(&program, AUDIT_ARCH_X86_64, call, &arguments).0;
                        assert_eq!(decided, action(expected), "{call} {arguments:x?}");
                    }
                }
            }
        }
    }

    #[test]
    fn calls_of_another_machine_end_the_process() {
        let program = program(&filter::rules(everything(), std::iter::empty()));
        let (action, _) = run(&program, 0x4000_0003, 0, &[]);
        assert_eq!(action, libc::SECCOMP_RET_KILL_PROCESS);
    }

    #[test]
    fn a_call_is_decided_in_a_few_steps() {
        let program = program(&filter::rules(everything(), std::iter::empty()));
        for call in (0..450).filter(|call| *call != number(libc::SYS_setsockopt)) {
            let (_, steps) = run(&program, AUDIT_ARCH_X86_64, call, &[LOG_FD + 1]);
            assert!(steps <= 48, "call {call}: {steps}");
        }
    }

    fn number(call: i64) -> u32 {
        filter::number(call)
    }
}
