//! The instructions by which a changed emulator tells of its guest's system calls, to be copied
//! into it (`qemu/told.rs`).
//!
//! The emulator calls them in the place of the functions that print a system call, so they find in
//! `esi` the number of the guest's call, and in `rdx`, `rcx`, … its arguments; after the call its
//! result is in `rdx` and the arguments follow. What a called function may change, they may change.
//!
//! Those that begin with `rookery_told_option` come before its function that sets an option of a
//! socket, with that function's arguments. Where the supervisor has set the option, they return for
//! it what became of that; else they do what stood where it leads to them, and go on there.
//!
//! Those that begin with `rookery_told_map` come before its function that maps memory, with that
//! function's arguments. They ask the supervisor how much there is to map below a stack that is to
//! grow, map that first by the same function, and go on as it would.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".pushsection .rodata.rookery_told, \"a\"",
    "rookery_told:",
    // Before the call.
    "    cmp esi, dword ptr [rip + rookery_told_exit]",
    "    je 1f",
    "    cmp esi, dword ptr [rip + rookery_told_clone]",
    "    je 2f",
    "    cmp esi, dword ptr [rip + rookery_told_ioctl]",
    "    je 3f",
    "    ret",
    // After it.
    "rookery_told_after:",
    "    cmp esi, dword ptr [rip + rookery_told_clone]",
    "    jne 5f",
    "    mov eax, ecx",
    "    and eax, {looked_at}",
    "    cmp eax, {older}",
    "    jne 5f",
    "    xchg rdx, rcx",
    "    mov edi, {cloned}",
    "    jmp 4f",
    "1:  mov edi, {exit}",
    "    jmp 4f",
    "2:  mov eax, edx",
    "    and eax, {looked_at}",
    "    cmp eax, {older}",
    "    jne 5f",
    "    mov edi, {cloning}",
    "    jmp 4f",
    "3:  mov edi, {ioctl}",
    "4:  mov rsi, rdx",
    "    mov rdx, rcx",
    "    mov eax, {told}",
    "rookery_told_call:",
    "    syscall",
    "5:  ret",
    "rookery_told_option:",
    "    push rdi",
    "    push rsi",
    "    push rdx",
    "    push rcx",
    "    push r8",
    "    mov r9, r8",
    "    mov r8, rcx",
    "    mov r10, rdx",
    "    mov rdx, rsi",
    "    mov rsi, rdi",
    "    mov edi, {option}",
    "    mov eax, {told}",
    "    syscall",
    "    pop r8",
    "    pop rcx",
    "    pop rdx",
    "    pop rsi",
    "    pop rdi",
    "    cmp rax, {goes_on}",
    "    je 6f",
    "    ret",
    "6:  push rbp",
    "    mov rbp, rsp",
    "    push r13",
    "    .byte 0xE9",
    "rookery_told_original: .long 0",
    "rookery_told_map:",
    "    mov eax, ecx",
    "    and eax, {growing}",
    "    cmp eax, {growing}",
    "    jne 8f",
    "    push rdi",
    "    push rsi",
    "    push rdx",
    "    push rcx",
    "    push r8",
    "    push r9",
    "    mov rdx, rsi",
    "    mov rsi, rdi",
    "    mov edi, {grows}",
    "    mov eax, {told}",
    "    syscall",
    "    test rax, rax",
    "    jle 7f",
    "    mov rdi, qword ptr [rsp + 40]",
    "    sub rdi, rax",
    "    mov rsi, rax",
    "    mov rdx, qword ptr [rsp + 24]",
    "    mov ecx, {plain}",
    "    mov r8d, -1",
    "    xor r9d, r9d",
    "    sub rsp, 8",
    "    call 8f",
    "    add rsp, 8",
    "7:  pop r9",
    "    pop r8",
    "    pop rcx",
    "    pop rdx",
    "    pop rsi",
    "    pop rdi",
    "8:  push r15",
    "    mov r15d, edx",
    "    .byte 0xE9",
    "rookery_told_map_original: .long 0",
    "rookery_told_exit: .long 0",
    "rookery_told_clone: .long 0",
    "rookery_told_ioctl: .long 0",
    "rookery_told_end:",
    ".popsection",
    looked_at = const LOOKED_AT,
    older = const libc::CLONE_VM,
    exit = const EXIT,
    cloning = const CLONING,
    cloned = const CLONED,
    ioctl = const IOCTL,
    option = const OPTION,
    growing = const GROWING,
    plain = const GROWING & !libc::MAP_GROWSDOWN,
    grows = const GROWS,
    goes_on = const GOES_ON,
    told = const crate::kernel::numbers::SYS_TOLD,
);

/// What is told, in the first argument.
pub const EXIT: i32 = 1;
pub const CLONING: i32 = 2;
pub const CLONED: i32 = 3;
pub const IOCTL: i32 = 4;
pub const OPTION: i32 = 5;
/// The answer is how many bytes are to be mapped below.
pub const GROWS: i32 = 6;

/// The answer to [`OPTION`] that leaves an option to the emulator.
pub const GOES_ON: i32 = 1;

/// What the emulator's function that sets an option begins with: `push %rbp`, `mov %rsp, %rbp`,
/// `push %r13`.
pub const OPTION_BEGINS: [u8; 6] = [0x55, 0x48, 0x89, 0xE5, 0x41, 0x55];

/// What the emulator's function that maps memory of a 32-bit guest begins with: `push %r15`,
/// `mov %edx, %r15d`.
pub const MAP_BEGINS: [u8; 5] = [0x41, 0x57, 0x41, 0x89, 0xD7];

/// A stack that grows, at the place that the guest chose for it.
#[cfg(target_arch = "x86_64")]
const GROWING: i32 =
    libc::MAP_GROWSDOWN | libc::MAP_FIXED | libc::MAP_ANONYMOUS | libc::MAP_PRIVATE;

/// A thread that is a process of its own to the guest shares its memory, and is neither one of its
/// threads nor a `vfork`.
#[cfg(target_arch = "x86_64")]
const LOOKED_AT: i32 = libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_VFORK;

/// The numbers of a guest's system calls; one that it does not have is never told.
#[derive(Debug, Clone, Copy)]
pub struct Numbers {
    pub exit: u32,
    pub clone: u32,
    pub ioctl: u32,
}

/// The instructions.
#[derive(Debug)]
pub struct Code {
    pub bytes: Vec<u8>,
    /// Where those begin that are called after a system call; the others are at the beginning.
    pub after: usize,
    /// Where their `syscall` is.
    pub call: usize,
    /// Where those begin that come before an option is set, and where the distance is to what is
    /// done then.
    pub option: usize,
    pub original: usize,
    /// The same of those that come before memory is mapped.
    pub map: usize,
    pub map_original: usize,
}

/// The instructions for a guest with these numbers. `None` on other hosts than x86-64.
#[cfg(target_arch = "x86_64")]
pub fn code(numbers: Numbers) -> Option<Code> {
    unsafe extern "C" {
        #[link_name = "rookery_told"]
        static BEGIN: u8;
        #[link_name = "rookery_told_after"]
        static AFTER: u8;
        #[link_name = "rookery_told_call"]
        static CALL: u8;
        #[link_name = "rookery_told_exit"]
        static NUMBERS: u8;
        #[link_name = "rookery_told_option"]
        static OPTION: u8;
        #[link_name = "rookery_told_original"]
        static ORIGINAL: u8;
        #[link_name = "rookery_told_map"]
        static MAP: u8;
        #[link_name = "rookery_told_map_original"]
        static MAP_ORIGINAL: u8;
        #[link_name = "rookery_told_end"]
        static END: u8;
    }
    let begin = &raw const BEGIN;
    let offset = |of: *const u8| of.addr() - begin.addr();
    let (option, original) = (offset(&raw const OPTION), offset(&raw const ORIGINAL));
    let (map, map_original) = (offset(&raw const MAP), offset(&raw const MAP_ORIGINAL));
    let (after, call, table, end) = (
        offset(&raw const AFTER),
        offset(&raw const CALL),
        offset(&raw const NUMBERS),
        offset(&raw const END),
    );
    // SAFETY: the labels are in this order in one piece of read-only data.
    let mut bytes = unsafe { std::slice::from_raw_parts(begin, end) }.to_vec();
    let table = bytes.get_mut(table..)?;
    let (places, _) = table.as_chunks_mut::<4>();
    for (place, number) in places
        .iter_mut()
        .zip([numbers.exit, numbers.clone, numbers.ioctl])
    {
        *place = number.to_le_bytes();
    }
    Some(Code {
        bytes,
        after,
        call,
        option,
        original,
        map,
        map_original,
    })
}

#[cfg(not(target_arch = "x86_64"))]
pub fn code(_: Numbers) -> Option<Code> {
    None
}
