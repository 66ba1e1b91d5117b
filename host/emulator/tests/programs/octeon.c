/* Instructions that only Cavium's processors have (GNU as's -march=octeon), in a program whose
   header says that it needs one. It does without a C library: Debian's uses an FPU, which the
   emulator's Octeon has not, and a kernel of Cavium's emulates. */
// only: mips64el -march=octeon -nostdlib -ffreestanding -mno-abicalls -fno-pic
#include "bare.h"

void __start(void)
{
    unsigned long sum, ones, equal;
    const unsigned long a = 0xf0, b = 0x1f, many = 0xff00ff00ff00ff01;

    asm("baddu %0, %1, %2" : "=r"(sum) : "r"(a), "r"(b));
    if (sum != 0x0f)
        SAY("no addition of bytes");
    asm("dpop %0, %1" : "=r"(ones) : "r"(many));
    if (ones != 33)
        SAY("no count of ones");
    asm("seq %0, %1, %2" : "=r"(equal) : "r"(a), "r"(a));
    if (equal != 1)
        SAY("no comparison");
    END();
}
