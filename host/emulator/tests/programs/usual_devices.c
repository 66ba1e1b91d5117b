/* Devices that many machines have, untouched. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/rtc.h>
#include <linux/watchdog.h>
#include <mtd/ubi-user.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "say.h"

// node: /dev/watchdog 10 130
// node: /dev/misc/rtc 10 135
// node: /dev/reset_button 240 1
// node: /dev/i2c-0 89 0
// node: /dev/mem 1 1
// node: /dev/ubi_ctrl 10 61
// node: /dev/input/event0 13 64

static int holds(const char *path, const char *text)
{
    char found[256] = "";
    int fd = open(path, O_RDONLY);
    int length = read(fd, found, sizeof found - 1);
    close(fd);
    return length == (int)strlen(text) && strcmp(found, text) == 0;
}

static int put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_TRUNC);
    int written = write(fd, text, strlen(text));
    close(fd);
    return written == (int)strlen(text);
}

int main(void)
{
    char text[8];
    struct stat about;
    int seconds = 0;
    int fd = open("/dev/watchdog", O_WRONLY);
    say("a watchdog is opened", fd >= 0);
    say("it is fed", write(fd, "V", 1) == 1 && ioctl(fd, WDIOC_KEEPALIVE, 0) == 0);
    say("it has a timeout", ioctl(fd, WDIOC_GETTIMEOUT, &seconds) == 0 && seconds == 60);
    close(fd);
    struct ubi_attach_req attach = {.ubi_num = UBI_DEV_NUM_AUTO, .mtd_num = 5};
    fd = open("/dev/ubi_ctrl", O_RDONLY);
    say("flash is attached", ioctl(fd, UBI_IOCATT, &attach) == 0 && attach.ubi_num == 0);
    close(fd);
    struct pollfd event = {.fd = open("/dev/input/event0", O_RDONLY), .events = POLLIN};
    say("no key is pressed", event.fd >= 0 && poll(&event, 1, 100) == 0);
    close(event.fd);
    struct rtc_time now = {0};
    time_t host = time(NULL);
    struct tm *utc = gmtime(&host);
    fd = open("/dev/misc/rtc", O_RDONLY);
    say("the clock has the time", ioctl(fd, RTC_RD_TIME, &now) == 0 &&
                                      now.tm_year == utc->tm_year && now.tm_mon == utc->tm_mon &&
                                      now.tm_hour == utc->tm_hour);
    say("it can be set", ioctl(fd, RTC_SET_TIME, &now) == 0);
    close(fd);
    fd = open("/dev/reset_button", O_RDWR);
    struct pollfd pressed = {fd, POLLIN, 0};
    say("nobody presses a button", read(fd, text, sizeof text) == 0 && poll(&pressed, 1, 10) == 0);
    close(fd);
    fd = open("/dev/i2c-0", O_RDWR);
    say("a bus has no chip", ioctl(fd, 0x703, 0x50) == 0 && write(fd, "x", 1) == -1 &&
                                 errno == EREMOTEIO);
    close(fd);
    say("there is no memory to see", open("/dev/mem", O_RDWR) == -1 && errno == EPERM);
    say("a pin is exported", put("/sys/class/gpio/export", "17"));
    say("it is pulled up", holds("/sys/class/gpio/gpio17/value", "1\n"));
    say("it becomes an output", put("/sys/class/gpio/gpio17/direction", "out") &&
                                    put("/sys/class/gpio/gpio17/value", "0") &&
                                    holds("/sys/class/gpio/gpio17/value", "0"));
    say("a lamp is there", stat("/sys/class/leds/power:green", &about) == 0 &&
                               holds("/sys/class/leds/power:green/brightness", "0\n"));
    say("it is lit", put("/sys/class/leds/power:green/brightness", "255") &&
                         holds("/sys/class/leds/power:green/brightness", "255"));
    say("nothing else appears", stat("/sys/class/leds/a b", &about) == -1 && errno == ENOENT);
    say("random bytes differ", (fd = open("/dev/random", O_RDONLY)) >= 0 &&
                                   read(fd, text, 8) == 8 && memcmp(text, "\0\0\0\0\0\0\0\0", 8));
    printf("the end\n");
    return 0;
}
