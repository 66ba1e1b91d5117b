/* Flash memory: partitions as their drivers have them, and the U-Boot environment in one. */
// before: printf '/dev/mtd1 0x0 0x1000 0x10000\n' >etc/fw_env.config
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <mtd/mtd-user.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "say.h"

// node: /dev/ar7240_flash_chrdev 239 0

static int holds(const char *path, const char *text)
{
    char found[1024] = "";
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    size_t length = fread(found, 1, sizeof found - 1, file);
    fclose(file);
    return length && strstr(found, text) != NULL;
}

static void disk(void)
{
    struct stat about;
    char text[8] = "";
    uint64_t bytes = 0;
    unsigned long sectors = 0;
    int size = 0;
    int fd = open("/dev/mtdblock0", O_RDWR);
    say("the block device is one",
        fstat(fd, &about) == 0 && S_ISBLK(about.st_mode) && major(about.st_rdev) == 31);
    say("it has its size", ioctl(fd, BLKGETSIZE64, &bytes) == 0 && bytes == 0x20000);
    say("it has its sectors", ioctl(fd, BLKGETSIZE, &sectors) == 0 && sectors == 0x100);
    say("sectors have a size", ioctl(fd, BLKSSZGET, &size) == 0 && size == 512);
    say("it holds what the character device holds",
        pread(fd, text, 4, 0x10000) == 4 && memcmp(text, "NEW!", 4) == 0);
    say("it is written in place", pwrite(fd, "old", 3, 0x10000) == 3);
    close(fd);
}

static void spare(void)
{
    unsigned char bytes[64] = "";
    struct mtd_oob_buf some = {.start = 0, .length = sizeof bytes, .ptr = bytes};
    struct mtd_oob_buf64 more = {.length = 16, .usr_ptr = (uintptr_t)bytes};
    struct nand_oobinfo layout = {0};
    int nand = open("/dev/mtd3", O_RDWR), nor = open("/dev/mtd0", O_RDWR);
    say("spare bytes are as erased", ioctl(nand, MEMREADOOB, &some) == 0 && bytes[0] == 0xFF
        && bytes[63] == 0xFF && some.start == 64);
    bytes[0] = bytes[16] = 0;
    say("so are those of large flash",
        ioctl(nand, MEMREADOOB64, &more) == 0 && bytes[0] == 0xFF && bytes[16] == 0);
    some.start = 0;
    say("they take what is written", ioctl(nand, MEMWRITEOOB, &some) == 0);
    say("they are free", ioctl(nand, MEMGETOOBSEL, &layout) == 0 && layout.oobfree[0][1] == 64);
    say("other flash has none",
        ioctl(nor, MEMREADOOB, &some) < 0 && errno == EOPNOTSUPP);
    close(nand);
    close(nor);
}

/* TP-Link's driver (ar7240_flash_ioctl.c). */
static void chip(void)
{
    struct {
        unsigned addr, len;
        char *buf;
        unsigned buflen, reset;
    } part = {.addr = 0x7f0000, .buflen = 6};
    char text[8] = "";
    int fd = open("/dev/ar7240_flash_chrdev", O_RDWR | O_CREAT, 0600);
    say("a chip is opened", fd >= 0);
    if (sizeof part.buf == 8) {
        for (int left = 4; left > 0; left--)
            say("its driver is one of 32 bits", 1);
        return;
    }
    part.buf = text;
    say("it is read", ioctl(fd, _IOR(0xB3, 1, char), &part) == 0 &&
                          memcmp(text, "\xff\xff\xff\xff\xff\xff", 7) == 0);
    part.buf = "config";
    say("it is written", ioctl(fd, _IOW(0xB3, 2, char), &part) == 0);
    part.buf = text;
    part.addr--;
    say("what is written lasts", ioctl(fd, _IOR(0xB3, 1, char), &part) == 0 &&
                                     memcmp(text, "\xff""confi", 7) == 0);
    part.addr = 0xffffff;
    say("nothing is beyond its end", ioctl(fd, _IOR(0xB3, 1, char), &part) == -1);
    close(fd);
}

int main(void)
{
    char text[16] = "";
    struct stat about;
    struct mtd_info_user info = {0};
    struct erase_info_user block = {.start = 0x10000, .length = 0x10000};
    long long place = 0;
    mkdir("/proc", 0755);
    mount("proc", "/proc", "proc", 0, NULL);
    say("/proc/mtd has them", holds("/proc/mtd", "mtd0: 00020000 00010000 \"boot\"\n"));
    say("/sys has them", holds("/sys/class/mtd/mtd0/name", "boot\n") &&
                             holds("/sys/class/mtd/mtd0/erasesize", "65536\n"));
    int fd = open("/dev/mtd0", O_RDWR | O_SYNC);
    say("a partition is opened", fd >= 0);
    say("it is a character device", fstat(fd, &about) == 0 && S_ISCHR(about.st_mode) &&
                                         major(about.st_rdev) == 90);
    say("it holds what is configured",
        read(fd, text, 6) == 6 && memcmp(text, "boot\xff\xff", 6) == 0);
    say("MEMGETINFO", ioctl(fd, MEMGETINFO, &info) == 0 && info.type == MTD_NORFLASH &&
                          info.size == 0x20000 && info.erasesize == 0x10000 &&
                          info.writesize == 1 && info.flags == MTD_CAP_NORFLASH);
    say("MEMUNLOCK", ioctl(fd, MEMUNLOCK, &block) == 0);
    say("MEMGETBADBLOCK", ioctl(fd, MEMGETBADBLOCK, &place) == 0);
    say("a write lasts", pwrite(fd, "gone", 4, 0x10000) == 4);
    say("MEMERASE", ioctl(fd, MEMERASE, &block) == 0);
    say("what is erased is all ones",
        pread(fd, text, 4, 0x10000) == 4 && memcmp(text, "\xff\xff\xff\xff", 4) == 0);
    say("a new write lasts", pwrite(fd, "NEW!", 4, 0x10000) == 4);
    block.start = 0x8000;
    say("no part of a block is erased", ioctl(fd, MEMERASE, &block) == -1 && errno == EINVAL);
    block.start = 0x20000;
    say("nothing beyond the end is", ioctl(fd, MEMERASE, &block) == -1 && errno == EINVAL);
    close(fd);
    disk();
    fd = open("/dev/mtd0ro", O_RDONLY);
    say("both devices are one memory",
        pread(fd, text, 4, 0x10000) == 4 && memcmp(text, "old!", 4) == 0);
    close(fd);
    say("a partition that is only read says so",
        open("/dev/mtd2", O_RDWR) == -1 && errno == EACCES);
    say("a partition that is not there is not",
        open("/dev/mtd7", O_RDONLY) == -1 && (errno == ENOENT || errno == ENODEV));
    fd = open("/dev/mtd1", O_RDONLY);
    char variables[64] = "";
    say("the environment is where it is looked for",
        pread(fd, variables, 40, 4) == 40 &&
            memcmp(variables, "ethaddr=00:11:22:33:44:55\0bootdelay=3\0", 39) == 0);
    say("its erase size is the configuration's",
        ioctl(fd, MEMGETINFO, &info) == 0 && info.erasesize == 0x10000);
    close(fd);
    say("a node that is made leads there",
        mknod("/tmp/flash", S_IFCHR | 0600, makedev(90, 0)) == 0 &&
            (fd = open("/tmp/flash", O_RDONLY)) >= 0 && pread(fd, text, 4, 0) == 4 &&
            memcmp(text, "boot", 4) == 0);
    spare();
    chip();
    printf("the end\n");
    return 0;
}
