/* The first process under a kernel of Debian: runs each test program as the first process of
 * namespaces of its own, with the program's tree as its root, and says where each begins and how
 * it ended. A program that reboots starts again on the same tree, as a machine would. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NAMESPACES (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET)
#define SECONDS 120
#define STARTS 10

static char stack[65536] __attribute__((aligned(16)));

static void complain(const char *what, const char *which)
{
    printf("kernel cannot %s %s: %s\n", what, which, strerror(errno));
}

static void load_modules(void)
{
    char line[256];
    FILE *order = fopen("/modules/order", "r");
    while (order && fgets(line, sizeof line, order)) {
        line[strcspn(line, "\n")] = 0;
        int fd = open(line, O_RDONLY | O_CLOEXEC);
        if (syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST)
            complain("load", line);
        close(fd);
    }
    if (order)
        fclose(order);
}

/* Not every machine has a clock with a battery: the command line has the time. */
static void set_clock(void)
{
    const char *now = getenv("now");
    struct timeval time = {now ? atoll(now) : 0, 0};
    if (now && settimeofday(&time, NULL) != 0)
        complain("set the clock to", now);
    unsetenv("now");
}

/* As `switch_root` does, in the program's own namespaces. */
static int program(void *argument)
{
    char *const name[] = {"/sbin/init", NULL};
    char *const environment[] = {"HOME=/", "TERM=linux", NULL};
    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    if (mount(argument, argument, NULL, MS_BIND, NULL) != 0 || chdir(argument) != 0
        || mount("devtmpfs", "dev", "devtmpfs", 0, NULL) != 0
        || mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0 || chdir("/") != 0) {
        complain("enter", argument);
        return 1;
    }
    setsid();
    execve(name[0], name, environment);
    complain("execute", argument);
    return 1;
}

static int start(char *tree)
{
    int status = -1;
    pid_t pid = clone(program, stack + sizeof stack, NAMESPACES | SIGCHLD, tree);
    if (pid < 0) {
        complain("clone for", tree);
        return -1;
    }
    for (int tenths = 0; waitpid(pid, &status, WNOHANG) != pid; tenths++) {
        if (tenths == SECONDS * 10) {
            printf("kernel: %s takes too long\n", tree);
            kill(pid, SIGKILL);
        }
        usleep(100000);
    }
    return status;
}

int main(void)
{
    char name[64], tree[128];
    setvbuf(stdout, NULL, _IOLBF, 0);
    mkdir("/proc", 0755);
    mkdir("/dev", 0755);
    if (mount("proc", "/proc", "proc", 0, NULL) != 0)
        complain("mount", "/proc");
    if (mount("devtmpfs", "/dev", "devtmpfs", 0, NULL) != 0)
        complain("mount", "/dev");
    load_modules();
    set_clock();
    FILE *list = fopen("/trees/list", "re");
    while (list && fgets(name, sizeof name, list)) {
        name[strcspn(name, "\n")] = 0;
        snprintf(tree, sizeof tree, "/trees/%s", name);
        printf("=== %s\n", name);
        int status, starts = 0;
        /* What a reboot is in a namespace: reboot(2). */
        do
            status = start(tree);
        while (++starts < STARTS && WIFSIGNALED(status)
               && (WTERMSIG(status) == SIGHUP || WTERMSIG(status) == SIGINT));
        printf("=== ended %s %x\n", name, status);
    }
    printf("=== over\n");
    fflush(stdout);
    sleep(1);
    reboot(RB_POWER_OFF);
    reboot(RB_AUTOBOOT);
    return 0;
}
