/* A device that reboots starts again as it started first, with what it wrote to its files. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "say.h"

static int starts(void)
{
    int file = open("/etc/starts", O_RDWR | O_CREAT | O_APPEND, 0600);
    write(file, "x", 1);
    int count = lseek(file, 0, SEEK_END);
    close(file);
    return count;
}

int main(int argc, char **argv)
{
    char directory[64] = "";
    struct stat about;
    sigset_t blocked;
    int count = starts();
    printf("start %d\n", count);
    say("init is the first process", getpid() == 1);
    say("its name is its path", argc == 1 && strcmp(argv[0], "/sbin/init") == 0);
    say("it has its environment", getenv("HOME") != NULL && getenv("TERM") != NULL);
    say("it begins at the root", strcmp(getcwd(directory, sizeof directory), "/") == 0);
    say("it has three descriptors", open("/dev/null", O_RDWR) == 3);
    sigprocmask(SIG_BLOCK, NULL, &blocked);
    say("no signal is blocked", !sigismember(&blocked, SIGTERM));
    say("it is root", getuid() == 0);
    say("nothing is mounted yet", stat("/tmp/mounted", &about) == -1);
    say("nobody else lives", waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    if (count == 4) {
        puts("the end");
        return 0;
    }
    mount("none", "/tmp", "tmpfs", 0, NULL);
    close(open("/tmp/mounted", O_CREAT | O_RDWR, 0600));
    chdir("/tmp");
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    if (fork() == 0)
        for (;;)
            pause();
    if (count == 2) {
        /* By another process, while the first waits for it. */
        if (fork() == 0) {
            reboot(RB_POWER_OFF);
            _exit(1);
        }
        for (;;)
            wait(NULL);
    }
    if (fork() == 0) {
        setuid(7);
        _exit(reboot(RB_AUTOBOOT) == -1 && errno == EPERM ? 0 : 1);
    }
    int status = -1;
    wait(&status);
    say("only root reboots", status == 0);
    if (count == 1 && fork() == 0) {
        while (getppid() == 1)
            usleep(100000);
        _exit(1);
    }
    if (count == 1 && fork() == 0) {
        usleep(300000);
        reboot(RB_AUTOBOOT);
        _exit(1);
    }
    if (count == 1) {
        /* It is root again when it starts again. */
        setuid(7);
        for (;;)
            pause();
    }
    reboot(RB_AUTOBOOT);
    puts("no  it goes on after a reboot");
    return 1;
}
