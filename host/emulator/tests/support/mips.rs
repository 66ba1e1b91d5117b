//! Static programs for a little-endian MIPS, put together from instructions.

const BASE: u32 = 0x40_0000;
const CODE: u32 = 52 + 32;
const DATA: u32 = 0x400;
const SIZE: u32 = DATA + 128;

/// Where the program finds its path, and 64 bytes of memory.
pub const PATH: u32 = BASE + DATA + 64;
pub const BUFFER: u32 = BASE + DATA;

/// Registers.
pub const V0: u32 = 2;
pub const A0: u32 = 4;
pub const A1: u32 = 5;
pub const A2: u32 = 6;
pub const T1: u32 = 9;
pub const S0: u32 = 16;

pub fn load(register: u32, value: u32) -> [u32; 2] {
    [
        0x3c00_0000 | register << 16 | value >> 16,
        0x3400_0000 | register << 21 | register << 16 | value & 0xFFFF,
    ]
}

pub fn load_byte(register: u32, address: u32) -> [u32; 3] {
    let [high, low] = load(register, address);
    [high, low, 0x9000_0000 | register << 21 | register << 16]
}

pub fn add(to: u32, one: u32, other: u32) -> u32 {
    one << 21 | other << 16 | to << 11 | 0x21
}

pub fn call(number: u32) -> [u32; 3] {
    let [high, low] = load(V0, number);
    [high, low, 0x0c]
}

/// The file of a program.
pub fn program(code: &[u32], path: &str) -> Vec<u8> {
    let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let header = [
        0x0008_0002,
        1,
        BASE + CODE,
        52,
        0,
        0x5000_1001,
        0x0020_0034,
        1,
        0,
    ];
    let segment = [1, 0, BASE, BASE, SIZE, SIZE, 7, 0x1000];
    let words = header.iter().chain(&segment).chain(code);
    file.extend(words.flat_map(|word: &u32| word.to_le_bytes()));
    assert!(file.len() <= DATA as usize && path.len() < 64);
    file.resize((PATH - BASE) as usize, 0);
    file.extend(path.as_bytes());
    file.resize(SIZE as usize, 0);
    file
}
