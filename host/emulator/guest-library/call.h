/* Two system calls, made as each kernel interface has them (syscall(2)). */

#ifndef CALL_H
#define CALL_H

typedef __SIZE_TYPE__ size_t;

#if defined(__mips__)
#if defined(__mips64) && _MIPS_SIM == _ABI64
#define READLINKAT 5257
#define WRITE 5001
#elif defined(__mips64)
#define READLINKAT 6261
#define WRITE 6001
#else
#define READLINKAT 4298
#define WRITE 4004
#endif
#elif defined(__arm__)
#define READLINKAT 332
#define WRITE 4
#elif defined(__powerpc__)
#define READLINKAT 296
#define WRITE 4
#elif defined(__x86_64__)
#define READLINKAT 267
#define WRITE 1
#elif defined(__i386__)
#define READLINKAT 305
#define WRITE 4
#else /* aarch64, riscv, loongarch: asm-generic/unistd.h */
#define READLINKAT 78
#define WRITE 64
#endif

/* Gives what the kernel returns: a negative errno where it fails. */
static long call(long number, long one, long two, long three, long four) {
#if defined(__mips__)
  register long v0 __asm__("$2") = number;
  register long a0 __asm__("$4") = one;
  register long a1 __asm__("$5") = two;
  register long a2 __asm__("$6") = three;
  register long a3 __asm__("$7") = four;
  __asm__ volatile("syscall"
                   : "+r"(v0), "+r"(a3)
                   : "r"(a0), "r"(a1), "r"(a2)
                   : "$1", "$3", "$8", "$9", "$10", "$11", "$12", "$13", "$14", "$15", "$24",
                     "$25", "memory");
  return a3 ? -v0 : v0;
#elif defined(__arm__)
  register long r7 __asm__("r7") = number;
  register long r0 __asm__("r0") = one;
  register long r1 __asm__("r1") = two;
  register long r2 __asm__("r2") = three;
  register long r3 __asm__("r3") = four;
  __asm__ volatile("svc 0" : "+r"(r0) : "r"(r7), "r"(r1), "r"(r2), "r"(r3) : "memory");
  return r0;
#elif defined(__aarch64__)
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = one;
  register long x1 __asm__("x1") = two;
  register long x2 __asm__("x2") = three;
  register long x3 __asm__("x3") = four;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
  return x0;
#elif defined(__powerpc__)
  register long r0 __asm__("r0") = number;
  register long r3 __asm__("r3") = one;
  register long r4 __asm__("r4") = two;
  register long r5 __asm__("r5") = three;
  register long r6 __asm__("r6") = four;
  __asm__ volatile("sc\n\tbns+ 1f\n\tneg 3, 3\n1:"
                   : "+r"(r0), "+r"(r3), "+r"(r4), "+r"(r5), "+r"(r6)
                   :
                   : "r7", "r8", "r9", "r10", "r11", "r12", "cr0", "ctr", "memory");
  return r3;
#elif defined(__riscv)
  register long a7 __asm__("a7") = number;
  register long a0 __asm__("a0") = one;
  register long a1 __asm__("a1") = two;
  register long a2 __asm__("a2") = three;
  register long a3 __asm__("a3") = four;
  __asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2), "r"(a3) : "memory");
  return a0;
#elif defined(__loongarch__)
  register long a7 __asm__("$a7") = number;
  register long a0 __asm__("$a0") = one;
  register long a1 __asm__("$a1") = two;
  register long a2 __asm__("$a2") = three;
  register long a3 __asm__("$a3") = four;
  __asm__ volatile("syscall 0"
                   : "+r"(a0)
                   : "r"(a7), "r"(a1), "r"(a2), "r"(a3)
                   : "$t0", "$t1", "$t2", "$t3", "$t4", "$t5", "$t6", "$t7", "$t8", "memory");
  return a0;
#elif defined(__x86_64__)
  register long r10 __asm__("r10") = four;
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(one), "S"(two), "d"(three), "r"(r10)
                   : "rcx", "r11", "memory");
  return result;
#elif defined(__i386__)
  long result;
  __asm__ volatile("int $0x80"
                   : "=a"(result)
                   : "a"(number), "b"(one), "c"(two), "d"(three), "S"(four)
                   : "memory");
  return result;
#else
#error "no system call is known for this architecture"
#endif
}

#define AT_FDCWD (-100)
#define EFAULT 14

/* Ask the supervisor, which alone answers these paths: `buffer` holds the question as
 * NUL-terminated strings, and then the answer. Gives the answer's whole length, also where it is
 * longer than `size`, or a negative errno. */
static long ask(const char *question, char *buffer, size_t size) {
  return call(READLINKAT, AT_FDCWD, (long)question, (long)buffer, (long)size);
}

/* Whether a byte can be read there: a kernel looks at the memory before it looks at the
 * descriptor. */
static int is_readable(const void *at) {
  return at && call(WRITE, -1, (long)at, 1, 0) != -EFAULT;
}

#endif
