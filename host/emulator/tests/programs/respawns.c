/* A program that cannot be executed, and is started without a pause, is held back. */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "say.h"

static long milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000L + now.tv_nsec / 1000000;
}

/* How long it takes to try this often to execute a program. */
static long starts(const char *program, int often)
{
    long begin = milliseconds();
    while (often--) {
        if (fork() == 0) {
            execl(program, program, (char *)NULL);
            _exit(127);
        }
        wait(NULL);
    }
    return milliseconds() - begin;
}

/* As a shell looks for a program: what it finds at last it executes, however often. */
static long searches(int often)
{
    long begin = milliseconds();
    while (often--) {
        if (fork() == 0) {
            execl("/bin/init", "init", "ends", (char *)NULL);
            execl("/sbin/init", "init", "ends", (char *)NULL);
            _exit(127);
        }
        wait(NULL);
    }
    return milliseconds() - begin;
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return 0;
    starts("/sbin/missing", 20);
    say("it waits after so many failures", starts("/sbin/missing", 5) >= 5 * 180);
    say("another one does not", starts("/sbin/other", 5) < 5 * 180);
    searches(25);
    say("nor does one that is looked for first", searches(5) < 5 * 180);
    printf("the end\n");
    return 0;
}
