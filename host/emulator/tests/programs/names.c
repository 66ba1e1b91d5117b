/* A process is called what the firmware called it: its emulator shows nowhere. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "say.h"

static int link_is(const char *path, const char *expected)
{
    char target[256] = "";
    return readlink(path, target, sizeof target - 1) > 0 && strcmp(target, expected) == 0;
}

/* Whether a file of /proc/PID begins so. */
static int begins(int pid, const char *name, const char *expected, int length)
{
    char path[64], text[4096] = "";
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    int fd = open(path, O_RDONLY);
    int got = read(fd, text, sizeof text - 1);
    close(fd);
    return got >= length && memcmp(text, expected, length) == 0 && !memmem(text, got, "qemu", 4)
        && !memmem(text, got, "rookery", 7);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "waits") == 0)
        for (;;)
            pause();
    if (argc > 1)
        return link_is("/proc/self/exe", "/sbin/init") && strcmp(argv[0], "other") == 0 ? 7 : 8;
    mount("proc", "/proc", "proc", 0, NULL);
    say("the own program is a link to it", link_is("/proc/self/exe", "/sbin/init"));
    say("also by number", link_is("/proc/1/exe", "/sbin/init"));
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "other", "x", (char *)NULL);
        _exit(9);
    }
    int status = 0;
    waitpid(child, &status, 0);
    say("it is executed by that link", WIFEXITED(status) && WEXITSTATUS(status) == 7);
    child = fork();
    if (child == 0) {
        execl("/sbin/init", "webs", "waits", (char *)NULL);
        _exit(9);
    }
    sleep(1);
    say("ps shows its arguments", begins(child, "cmdline", "webs\0waits\0", 11));
    say("and its name", begins(child, "comm", "init\n", 5));
    say("and its state", begins(child, "status", "Name:\tinit\n", 11));
    char stat[32];
    int length = snprintf(stat, sizeof stat, "%d (init) ", child);
    say("in one line, too", begins(child, "stat", stat, length));
    say("its parent is the first process", getpid() == 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    printf("the end\n");
    return 0;
}
