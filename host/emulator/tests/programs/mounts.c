/* Mounts that the sandbox cannot make seem to be made: what is written there stays. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "say.h"

static int is_listed(const char *wanted)
{
    char line[512];
    int found = 0;
    FILE *table = fopen("/proc/mounts", "r");
    while (table && fgets(line, sizeof line, table))
        found |= strncmp(line, wanted, strlen(wanted)) == 0;
    fclose(table);
    return found;
}

static int makes(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY, 0644);
    int written = fd < 0 ? -1 : write(fd, "x", 1);
    if (fd >= 0)
        close(fd);
    return written == 1;
}

static int exists(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0;
}

int main(void)
{
    mkdir("/tmp/data", 0755);
    mkdir("/tmp/ram", 0755);
    mkdir("/tmp/other", 0755);
    say("proc", mount("proc", "/proc", "proc", 0, NULL) == 0 && is_listed("proc /proc proc "));
    say("sysfs", mount("sysfs", "/sys", "sysfs", 0, NULL) == 0 && is_listed("sysfs /sys sysfs "));
    say("a flash", mount("/dev/mtdblock4", "/tmp/data", "jffs2", 0, NULL) == 0);
    say("is listed", is_listed("/dev/mtdblock4 /tmp/data jffs2 rw"));
    say("is written to", makes("/tmp/data/file"));
    say("mounted anew", mount("/dev/mtdblock4", "/tmp/data", "jffs2", MS_REMOUNT, NULL) == 0);
    say("unmounted", umount("/tmp/data") == 0 && !is_listed("/dev/mtdblock4"));
    say("mounted again", mount("/dev/mtdblock4", "/tmp/data", "jffs2", 0, NULL) == 0);
    say("what was written is there", exists("/tmp/data/file"));
    say("a vendor's own type", mount("none", "/tmp/other", "vendorfs", 0, NULL) == 0);
    say("no place", mount("none", "/tmp/nowhere", "jffs2", 0, NULL) == -1 && errno == ENOENT);
    say("no type", mount("none", "/tmp/other", "", 0, NULL) == -1);
    say("memory", mount("none", "/tmp/ram", "tmpfs", 0, "size=1m") == 0 && makes("/tmp/ram/a"));
    say("seen elsewhere, too",
        mount("/tmp/ram", "/tmp/other", NULL, MS_BIND, NULL) == 0 && exists("/tmp/other/a"));
    say("there it goes", umount("/tmp/other") == 0 && !exists("/tmp/other/a"));
    say("memory goes with what it holds", umount("/tmp/ram") == 0 && !exists("/tmp/ram/a"));
    say("there is nothing more to take away",
        umount("/tmp/ram") == -1 && errno == EINVAL);
    printf("the end\n");
    return 0;
}
