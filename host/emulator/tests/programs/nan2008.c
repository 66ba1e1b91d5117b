/* A program of the newer encoding of NaNs (IEEE 754-2008), which its header asks for and a 24Kf has
   not. No C library of Debian's has it, so this does without one. */
// only: mipsel -mnan=2008 -march=mips32r2 -nostdlib -ffreestanding -mno-abicalls -fno-pic
// only: mipseb -mnan=2008 -march=mips32r2 -nostdlib -ffreestanding -mno-abicalls -fno-pic
#include "bare.h"

void __start(void)
{
    volatile float zero = 0;
    union {
        float number;
        unsigned bits;
    } made = {.number = zero / zero};

    if ((made.bits & 0x7fffffff) != 0x7fc00000)
        SAY("no quiet NaN of 2008");
    END();
}
