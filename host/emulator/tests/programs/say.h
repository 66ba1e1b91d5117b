/* A promise and whether it holds, a line each: the test counts those that begin with `no `. */
#include <errno.h>
#include <stdio.h>

static void say(const char *what, int holds)
{
    printf("%s %s (errno %d)\n", holds ? "yes" : "no ", what, errno);
    fflush(stdout);
    errno = 0;
}
