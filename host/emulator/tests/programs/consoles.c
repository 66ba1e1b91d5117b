/* Terminals that the firmware mentions are its console, by whatever name. */
// before: echo 'ttyAMA0::respawn:/sbin/getty' > etc/inittab && echo ttyS1 > etc/securetty
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

static void say(const char *what, const char *which, int holds)
{
    printf("%s %s %s (errno %d)\n", holds ? "yes" : "no ", which, what, errno);
    fflush(stdout);
    errno = 0;
}

static void terminal(const char *path)
{
    struct stat about;
    struct termios settings;
    say("is a character device", path, stat(path, &about) == 0 && S_ISCHR(about.st_mode));
    int fd = open(path, O_RDWR | O_NOCTTY);
    say("is opened", path, fd >= 0);
    say("is a terminal", path, isatty(fd) && tcgetattr(fd, &settings) == 0);
    say("takes settings", path, tcsetattr(fd, TCSANOW, &settings) == 0);
    say("shows what is written", path, dprintf(fd, "yes by %s\n", path) > 0);
    close(fd);
}

int main(void)
{
    struct stat one, other;
    terminal("/dev/console");
    terminal("/dev/ttyS0");
    terminal("/dev/ttyAMA0");
    terminal("/dev/ttyS1");
    stat("/dev/ttyAMA0", &one);
    stat("/dev/ttyS1", &other);
    say("has numbers of its own", "/dev/ttyS1", one.st_rdev != other.st_rdev);
    say("is not there that nobody mentions", "/dev/ttyUSB7", stat("/dev/ttyUSB7", &one) == -1);
    printf("the end\n");
    return 0;
}
