/* A command that a file has not is ENOTTY, whatever the file and the command are. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "say.h"

static void lacks(const char *what, int fd, unsigned long command)
{
    char buffer[256] = "";
    say(what, ioctl(fd, command, buffer) == -1 && errno == ENOTTY);
}

int main(void)
{
    int file = open("/tmp/file", O_RDWR | O_CREAT, 0600), ends[2];
    if (pipe(ends) != 0)
        say("a pipe is made", 0);
    lacks("a file has no command of a vendor's", file, 0x40046e01);
    lacks("nor one without a size", file, 0x8901 + 0x7000);
    lacks("nor one of terminals", file, TIOCGWINSZ);
    lacks("a directory has none", open("/tmp", O_RDONLY), 0x40046e02);
    lacks("a pipe has none", ends[0], 0x40046e03);
    lacks("the console has none", open("/dev/console", O_RDWR), 0x40046e04);
    lacks("nor has nothing", open("/dev/null", O_RDWR), 0xc0046e05);
    lacks("nor a disk that shows nothing", open("/dev/loop0", O_RDWR), 0x40046e06);
    printf("the end\n");
    return 0;
}
