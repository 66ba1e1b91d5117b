/* A program of the newer encoding of NaNs (IEEE 754-2008), which its header asks for and a 24Kf has
   not. No C library of Debian's has it, so this does without one. */
// only: mipsel -mnan=2008 -march=mips32r2 -nostdlib -ffreestanding
// only: mipseb -mnan=2008 -march=mips32r2 -nostdlib -ffreestanding
#include <asm/unistd.h>

static long call(long number, long a, long b, long c)
{
	register long v0 asm("$2") = number;
	register long a0 asm("$4") = a, a1 asm("$5") = b, a2 asm("$6") = c, a3 asm("$7");

	asm volatile("syscall" : "+r"(v0), "=r"(a3) : "r"(a0), "r"(a1), "r"(a2)
		     : "$1", "$3", "$8", "$9", "$10", "$11", "$12", "$13", "$14", "$15", "$24", "$25",
		       "hi", "lo", "memory");
	return v0;
}

#define SAY(text) call(__NR_write, 1, (long)(text), sizeof(text) - 1)

void __start(void)
{
	volatile float zero = 0;
	union { float number; unsigned bits; } made = { .number = zero / zero };

	if ((made.bits & 0x7fffffff) != 0x7fc00000)
		SAY("no quiet NaN of 2008\n");
	SAY("the end\n");
	call(__NR_exit, 0, 0, 0);
}
