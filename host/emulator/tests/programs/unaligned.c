/* Numbers across their alignment, which Linux reads and writes for the program where the processor
 * does not. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "say.h"

static char bytes[32] __attribute__((aligned(8)));

int main(void)
{
    volatile uint16_t *half = (void *)(bytes + 1);
    volatile uint32_t *word = (void *)(bytes + 5);
    volatile unsigned long *large = (void *)(bytes + 17);
    *half = 0x4141;
    *word = 0x42424242;
    *large = 7;
    say("half a word is written", memcmp(bytes, "\0AA\0", 4) == 0);
    say("and read", *half == 0x4141);
    say("a word is written", memcmp(bytes + 4, "\0BBBB\0", 6) == 0);
    say("and read", *word == 0x42424242);
    say("a long one is read", *large == 7);
    printf("the end\n");
    return 0;
}
