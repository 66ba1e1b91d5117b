/* The DSP instructions that a router's processor has and a 24Kf has not: MIPS DSP Module, revision
   2 (MIPS Architecture for Programmers, volume IV-e). */
// only: mipsel
// only: mipseb
#include <stdio.h>

int main(void)
{
    int sum, absolute;
    const int a = 0x00010002, b = 0x00030004, negative = (int)0xfffefd05;

    asm(".set push\n.set dsp\naddq.ph %0, %1, %2\n.set pop" : "=r"(sum) : "r"(a), "r"(b));
    if (sum != 0x00040006)
        printf("no addition of two halves: %x\n", sum);
    asm(".set push\n.set dspr2\nabsq_s.qb %0, %1\n.set pop" : "=r"(absolute) : "r"(negative));
    if (absolute != 0x01020305)
        printf("no absolute values of four bytes: %x\n", absolute);
    puts("the end");
    return 0;
}
