/* The clock is the guest's to set: it, and who it starts then, see the time that it has set. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "say.h"

#define SET 1262304000 /* 2010-01-01 */

static int near(long long time, long long expected)
{
    return time >= expected && time < expected + 20;
}

/* Whether every way to ask for the time gives about this one. */
static int shows(long long expected)
{
    struct timeval day;
    struct timespec real, coarse;
    gettimeofday(&day, NULL);
    clock_gettime(CLOCK_REALTIME, &real);
    clock_gettime(CLOCK_REALTIME_COARSE, &coarse);
    return near(day.tv_sec, expected) && near(real.tv_sec, expected)
        && near(coarse.tv_sec, expected) && near(time(NULL), expected);
}

static long milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000L + now.tv_nsec / 1000000;
}

/* How long it takes to wait until 300 ms from now, by the time of day. */
static long waits(int sleeps)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    struct timespec until;
    long begin = milliseconds();
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 300000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    if (sleeps) {
        clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL);
    } else {
        pthread_mutex_lock(&mutex);
        pthread_cond_timedwait(&condition, &mutex, &until);
        pthread_mutex_unlock(&mutex);
    }
    return milliseconds() - begin;
}

static int is_about(long waited)
{
    return waited >= 250 && waited < 5000;
}

static int status_of(char *argument)
{
    int status = -1;
    if (fork() == 0) {
        if (argument)
            execl("/sbin/init", "init", argument, NULL);
        _exit(shows(SET) ? 0 : 1);
    }
    wait(&status);
    return status;
}

int main(int argc, char **argv)
{
    struct timeval day = {SET, 0};
    struct timespec real = {SET + 100000, 0}, wrong = {SET, 1000000000}, now;
    struct timex timex;
    if (argc > 1)
        return shows(SET) ? 0 : 1;
    long long hosts = time(NULL);
    say("it begins with the host's time", hosts > SET + 100000000 && shows(hosts));
    say("a wait until then ends then", is_about(waits(0)) && is_about(waits(1)));
    memset(&timex, 0, sizeof timex);
    say("who asks is told that it is not synchronised", adjtimex(&timex) == TIME_ERROR);
    say("the clock is set", settimeofday(&day, NULL) == 0);
    say("it shows what was set", shows(SET));
    say("a child sees it", status_of(NULL) == 0);
    say("a new program sees it", status_of("again") == 0);
    say("a wait ends when the guest's clock says so", is_about(waits(0)) && is_about(waits(1)));
    say("how long it runs is another matter",
        clock_gettime(CLOCK_MONOTONIC, &now) == 0 && now.tv_sec != SET);
    say("no time is refused", clock_settime(CLOCK_REALTIME, &wrong) == -1 && errno == EINVAL);
    say("so is another clock", clock_settime(CLOCK_MONOTONIC, &real) == -1 && errno == EINVAL);
    say("it is set again", clock_settime(CLOCK_REALTIME, &real) == 0 && shows(SET + 100000));
    memset(&timex, 0, sizeof timex);
    timex.modes = ADJ_SETOFFSET;
    timex.time.tv_sec = -100000;
    say("and moved", adjtimex(&timex) >= 0 && near(timex.time.tv_sec, SET) && shows(SET));
    if (fork() == 0) {
        setuid(99);
        _exit(settimeofday(&day, NULL) == -1 && errno == EPERM ? 0 : 1);
    }
    int status = -1;
    wait(&status);
    say("only root sets it", status == 0);
    if (fork() == 0) {
        day.tv_sec = SET;
        prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
        setuid(99);
        _exit(settimeofday(&day, NULL) == 0 && shows(SET) ? 0 : 1);
    }
    wait(&status);
    say("so does who was root and has kept the right", status == 0);
    printf("the end\n");
    return 0;
}
