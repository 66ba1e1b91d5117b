/* A program that makes keys for long, and says nothing while it does: its run goes on although its
   time is up, because the program is at work, and not much longer once it has ended that. The test
   gives it 17 seconds. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
    volatile unsigned long number = 1;
    const time_t begin = time(NULL);

    while (time(NULL) < begin + 32)
        for (int i = 0; i < 1000000; i++)
        	number = number * 1103515245 + 12345;
    puts("the end");
    fflush(stdout);
    for (;;)
        sleep(1000);
}
