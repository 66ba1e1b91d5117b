/* Threads as LinuxThreads makes them: processes that share everything, and no CLONE_THREAD. Each
 * line that is printed is a promise; `no` in it is a broken one. Runs as init, and ends with
 * "the end". */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SHARED (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND)
#define RESTART (SIGUSR1)

static volatile int flag, number, parent, handled_by, children;
static char stacks[8][65536] __attribute__((aligned(16)));

static void say(const char *what, int holds)
{
    char line[128];
    int length = snprintf(line, sizeof line, "%s %s\n", holds ? "yes" : "no ", what);
    write(1, line, length);
}

static int make(int (*run)(void *), int stack, int flags)
{
    return clone(run, stacks[stack] + sizeof stacks[stack] - 64, flags, NULL);
}

static int own(void) { return syscall(SYS_getpid); }

static void nap(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* A thread ends by `exit`, never by `exit_group`: that is the library's. */
static void leave(int status) { syscall(SYS_exit, status); }

static int simple(void *unused)
{
    number = own();
    parent = getppid();
    flag = 1;
    leave(7);
    return 0;
}

static void handler(int signal)
{
    if (signal == SIGUSR2)
        children++;
    else
        handled_by = own();
}

static int sleeper(void *unused)
{
    sigset_t none;
    sigemptyset(&none);
    flag = 2;
    sigsuspend(&none);
    leave(handled_by == own() ? 3 : 4);
    return 0;
}

static int whole_group(void *unused)
{
    for (;;) {
        syscall(SYS_exit_group, 9);
        leave(9);
    }
    return 0;
}

static int waits_in_turn(void *unused)
{
    int status = 0, inner = make(simple, 2, SHARED | SIGUSR2);
    int waited = waitpid(inner, &status, __WCLONE);
    leave(waited == inner && WEXITSTATUS(status) == 7 && parent == own() ? 11 : 12);
    return 0;
}

static int forever(void *unused)
{
    for (;;)
        nap(1000);
    return 0;
}

static int manager(void *unused)
{
    int ticks = 0;
    flag = 1;
    while (getppid() != 1 && ticks < 25) {
        nap(100);
        ticks++;
    }
    flag = 100 + ticks;
    leave(0);
    return 0;
}

static void one_after_the_other(void)
{
    int thread, status = 0, waited, first = own();
    thread = make(simple, 0, SHARED);
    say("a thread is made", thread > 0);
    waited = waitpid(thread, &status, __WCLONE);
    say("it is waited for as a clone", waited == thread && flag == 1);
    say("its status is known", WIFEXITED(status) && WEXITSTATUS(status) == 7);
    say("it has a number of its own", number == thread && number != first);
    say("its parent is who made it", parent == first);
    say("it is gone then", waitpid(thread, &status, __WALL) == -1 && errno == ECHILD);

    thread = make(simple, 0, SHARED | SIGCHLD);
    say("one that ends with SIGCHLD is a child as others",
        waitpid(-1, &status, 0) == thread && WEXITSTATUS(status) == 7);

    flag = 0;
    thread = make(sleeper, 1, SHARED | SIGUSR2);
    say("waiting without hanging", waitpid(-1, &status, __WCLONE | WNOHANG) == 0);
    while (flag != 2)
        nap(5);
    nap(50);
    say("a signal to its number", kill(thread, RESTART) == 0);
    say("reaches it and no other",
        waitpid(thread, &status, __WALL) == thread && WEXITSTATUS(status) == 3);
    say("and its end is signalled to who made it", children == 1);

    thread = make(whole_group, 3, SHARED);
    say("its exit_group ends itself only",
        waitpid(thread, &status, __WCLONE) == thread && WEXITSTATUS(status) == 9);

    thread = make(waits_in_turn, 4, SHARED);
    say("a thread waits for its own threads",
        waitpid(thread, &status, __WCLONE) == thread && WEXITSTATUS(status) == 11);

    siginfo_t info;
    memset(&info, 0, sizeof info);
    thread = make(simple, 0, SHARED);
    say("waitid tells the same", waitid(P_PID, thread, &info, WEXITED | __WCLONE) == 0 &&
                                     info.si_pid == thread && info.si_status == 7);
}

/* A daemon: its manager sees the daemon as its parent, whoever inherited that. */
static void daemonised(void)
{
    int status = 0, between = fork();
    if (between == 0) {
        if (fork() == 0) {
            setsid();
            nap(100);
            int thread = make(manager, 5, SHARED);
            int waited = waitpid(thread, &status, __WCLONE);
            _exit(waited == thread && flag == 125 ? 0 : 1);
        }
        _exit(0);
    }
    waitpid(between, &status, 0);
    int daemon = waitpid(-1, &status, 0);
    say("a daemonised manager stays", daemon > 0 && WEXITSTATUS(status) == 0);
}

/* A program ends with its threads, however it ends. */
static void ends(void)
{
    int status = 0, program = fork();
    if (program == 0) {
        make(forever, 6, SHARED);
        make(forever, 7, SHARED);
        nap(50);
        exit(21);
    }
    say("a program ends and its threads with it",
        waitpid(program, &status, 0) == program && WEXITSTATUS(status) == 21);
    program = fork();
    if (program == 0) {
        make(forever, 6, SHARED);
        for (;;)
            nap(1000);
    }
    nap(200);
    kill(program, SIGTERM);
    say("or is ended", waitpid(program, &status, 0) == program && WTERMSIG(status) == SIGTERM);
}

/* As LinuxThreads gives one to each thread: some pages at a fixed place, two megabytes from the
 * next. Emulators of 64-bit guests have none that grow. */
static void stack_grows(void)
{
    const size_t apart = 2 << 20, first = 4 * sysconf(_SC_PAGESIZE);
    const int kind = MAP_PRIVATE | MAP_ANONYMOUS;
    char *place = mmap(NULL, 4 * apart, PROT_NONE, kind, -1, 0);
    munmap(place, 4 * apart);
    char *top = place + 3 * apart, *fence = top - apart / 2;
    char *other = mmap(fence, 4096, PROT_READ | PROT_WRITE, kind | MAP_FIXED, -1, 0);
    *other = 'o';
    char *stack = mmap(top - first, first, PROT_READ | PROT_WRITE | PROT_EXEC,
                       kind | MAP_FIXED | MAP_GROWSDOWN, -1, 0);
    say("a stack is where it is wanted", stack == top - first);
    if (sizeof stack == 8) {
        say("a deep one is used", 1);
        say("and leaves alone what is below", 1);
        return;
    }
    /* The kernel leaves a megabyte free above what is below. */
    for (char *at = top - 1; at > top - apart / 4; at -= 1024)
        *at = 's';
    say("a deep one is used", top[-1] == 's' && top[-(long)apart / 4 + 1023] == 's');
    say("and leaves alone what is below", *other == 'o');
}

int main(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    one_after_the_other();
    daemonised();
    ends();
    stack_grows();
    write(1, "the end\n", 8);
    return 0;
}
