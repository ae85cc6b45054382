//! Is this CPU one that the program was compiled for? Asked before anything else runs.
//!
//! The whole program uses x86-64-v3 instructions (`.cargo/config.toml`), so that any compiled
//! function could be the one that an older CPU dies in, this question's included. Hence assembly
//! of baseline instructions only, run by the loader before constructors and `main`: on an older
//! CPU it writes one line and exits with 1.

// Assembly that the loader runs: it touches registers and two system calls only, keeps rbx as the
// calling convention asks, and needs nothing to be initialised.
#![allow(unsafe_code)]

#[cfg(all(target_arch = "x86_64", target_os = "linux", target_feature = "avx2"))]
std::arch::global_asm!(
    ".pushsection .text.lwaftr_cpu_level, \"ax\", @progbits",
    "lwaftr_cpu_level:",
    "push rbx",
    "xor eax, eax",
    "cpuid",
    "cmp eax, 7",
    "jb 2f",
    "mov eax, 0x80000000",
    "cpuid",
    "cmp eax, 0x80000001",
    "jb 2f",
    // Leaf 1, ECX: FMA, CMPXCHG16B, SSE4.1, SSE4.2, MOVBE, POPCNT, OSXSAVE, AVX, F16C.
    "mov eax, 1",
    "cpuid",
    "and ecx, 0x38d83000",
    "cmp ecx, 0x38d83000",
    "jne 2f",
    // Leaf 7, EBX: BMI1, AVX2, BMI2.
    "mov eax, 7",
    "xor ecx, ecx",
    "cpuid",
    "and ebx, 0x128",
    "cmp ebx, 0x128",
    "jne 2f",
    // Leaf 0x80000001, ECX: LAHF, LZCNT.
    "mov eax, 0x80000001",
    "cpuid",
    "and ecx, 0x21",
    "cmp ecx, 0x21",
    "jne 2f",
    // The operating system saves the AVX registers.
    "xor ecx, ecx",
    "xgetbv",
    "and eax, 6",
    "cmp eax, 6",
    "jne 2f",
    "pop rbx",
    "ret",
    // write(2, message, length), then exit_group(1).
    "2:",
    "mov eax, 1",
    "mov edi, 2",
    "lea rsi, [rip + lwaftr_cpu_message]",
    "lea rdx, [rip + lwaftr_cpu_message_end]",
    "sub rdx, rsi",
    "syscall",
    "mov eax, 231",
    "mov edi, 1",
    "syscall",
    "ud2",
    ".popsection",
    ".pushsection .rodata.lwaftr_cpu_level, \"a\", @progbits",
    "lwaftr_cpu_message:",
    ".ascii \"lwaftr: this CPU lacks x86-64-v3 (AVX2, BMI2, FMA): it takes an Intel Haswell, an AMD \"",
    ".ascii \"Excavator or newer; for a virtual machine choose the CPU model 'host' or 'Haswell'\\n\"",
    "lwaftr_cpu_message_end:",
    ".popsection",
    ".pushsection .preinit_array, \"aw\", @preinit_array",
    ".balign 8",
    ".quad lwaftr_cpu_level",
    ".popsection",
);
