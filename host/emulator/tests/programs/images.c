/* Images of file systems that lie inside the firmware: shown by loop devices, and mounted. */
// before: mkdir -p mnt etc/tree/sub etc/empty && echo inside > etc/tree/sub/file
// before: ln -s sub/file etc/tree/link && ln etc/tree/sub/file etc/tree/sub/second
// before: mksquashfs etc/tree etc/gzip.img -quiet -comp gzip -all-root -no-progress
// before: mksquashfs etc/tree etc/xz.img -quiet -comp xz -all-root -no-progress
// before: mksquashfs etc/tree etc/lzo.img -quiet -comp lzo -all-root -no-progress
// before: mksquashfs etc/tree etc/lz4.img -quiet -comp lz4 -all-root -no-progress
// before: mksquashfs etc/tree etc/zstd.img -quiet -comp zstd -all-root -no-progress
// before: mksquashfs etc/tree etc/lzma.img -quiet -comp lzma -all-root -no-progress
// before: (cd etc/tree && find . | cpio -o -H newc --quiet) > etc/cpio.img
// before: mke2fs -q -t ext2 -d etc/tree etc/ext2.img 1M
// before: mke2fs -q -t ext4 -d etc/tree etc/ext4.img 4M
// before: (head -c 4096 /dev/zero; cat etc/xz.img) > etc/later.img
// before: head -c 200 etc/xz.img > etc/cut.img && truncate -s 64M etc/hole
// before: mksquashfs etc/tree etc/nodes.img -quiet -all-root -no-progress -p "zero c 666 0 0 1 5"
// before: echo nothing > etc/nothing.img
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* The image that is tried. */
static const char *tried = "";

static void say(const char *what, int holds)
{
    printf("%s %s%s (errno %d)\n", holds ? "yes" : "no ", tried, what, errno);
    fflush(stdout);
    errno = 0;
}

/* Let a device show a file, as losetup does: whether that worked. */
static int show(int number, const char *image, int flags, uint64_t offset)
{
    struct loop_info64 info = {.lo_offset = offset};
    char path[32];
    snprintf(path, sizeof path, "/dev/loop%d", number);
    int device = open(path, flags), file = open(image, flags);
    strncpy((char *)info.lo_file_name, image, LO_NAME_SIZE - 1);
    int shown = ioctl(device, LOOP_SET_FD, file) == 0
        && ioctl(device, LOOP_SET_STATUS64, &info) == 0;
    close(device);
    close(file);
    return shown;
}

static int hide(int number)
{
    char path[32];
    snprintf(path, sizeof path, "/dev/loop%d", number);
    int device = open(path, O_RDONLY), result = ioctl(device, LOOP_CLR_FD, 0);
    close(device);
    return result == 0;
}

static int reads(const char *path, const char *expected)
{
    char text[64] = "";
    int file = open(path, O_RDONLY);
    int length = read(file, text, sizeof text - 1);
    close(file);
    return length == (int)strlen(expected) && strcmp(text, expected) == 0;
}

static int writes(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CREAT, 0644);
    if (file < 0)
        return 0;
    int length = write(file, text, strlen(text));
    close(file);
    return length == (int)strlen(text);
}

static int is_listed(const char *wanted)
{
    char line[512];
    int found = 0;
    FILE *table = fopen("/proc/mounts", "r");
    while (fgets(line, sizeof line, table))
        found |= strncmp(line, wanted, strlen(wanted)) == 0;
    fclose(table);
    return found;
}

static void devices(void)
{
    struct loop_info64 info;
    struct loop_info old;
    struct stat about;
    uint64_t bytes = 0;
    unsigned long sectors = 0;
    int control = open("/dev/loop-control", O_RDWR);
    say("loop0 is a disk", stat("/dev/loop0", &about) == 0 && S_ISBLK(about.st_mode));
    say("it is the first free one", ioctl(control, LOOP_CTL_GET_FREE) == 0);
    int device = open("/dev/loop0", O_RDWR), file = open("/etc/later.img", O_RDWR);
    say("it shows nothing",
        ioctl(device, LOOP_GET_STATUS64, &info) == -1 && errno == ENXIO);
    say("so does the older structure",
        ioctl(device, LOOP_GET_STATUS, &old) == -1 && errno == ENXIO);
    say("there is nothing to hide", ioctl(device, LOOP_CLR_FD, 0) == -1 && errno == ENXIO);
    say("no descriptor is no file", ioctl(device, LOOP_SET_FD, 77) == -1 && errno == EBADF);
    say("a device is no file", ioctl(device, LOOP_SET_FD, control) == -1 && errno == EINVAL);
    say("it takes a file", ioctl(device, LOOP_SET_FD, file) == 0);
    say("and only one", ioctl(device, LOOP_SET_FD, file) == -1 && errno == EBUSY);
    memset(&info, 0, sizeof info);
    info.lo_offset = 4096;
    strcpy((char *)info.lo_file_name, "/etc/later.img");
    say("it is described", ioctl(device, LOOP_SET_STATUS64, &info) == 0);
    memset(&info, 0, sizeof info);
    say("what was said is told",
        ioctl(device, LOOP_GET_STATUS64, &info) == 0 && info.lo_offset == 4096
        && strcmp((char *)info.lo_file_name, "/etc/later.img") == 0);
    memset(&old, 0, sizeof old);
    say("also in the older structure",
        ioctl(device, LOOP_GET_STATUS, &old) == 0 && old.lo_offset == 4096
        && strcmp(old.lo_name, "/etc/later.img") == 0);
    fstat(file, &about);
    say("its file is told", info.lo_inode == about.st_ino);
    say("it has the size of what it shows",
        ioctl(device, BLKGETSIZE64, &bytes) == 0 && ioctl(device, BLKGETSIZE, &sectors) == 0
        && bytes == ((uint64_t)about.st_size - 4096) / 512 * 512 && sectors == bytes / 512);
    say("another one is free", ioctl(control, LOOP_CTL_GET_FREE) == 1);
    close(device);
    device = open("/dev/loop0", O_RDONLY);
    char mark[4] = "";
    say("opened again it is its file",
        pread(device, mark, 4, 4096) == 4 && memcmp(mark, "hsqs", 4) == 0);
    say("mounted from its offset", mount("/dev/loop0", "/mnt", "squashfs", MS_RDONLY, NULL) == 0);
    say("it holds what it held", reads("/mnt/sub/file", "inside\n"));
    say("hidden while it is mounted", ioctl(device, LOOP_CLR_FD, 0) == 0);
    say("it still shows its file", ioctl(device, LOOP_GET_STATUS64, &info) == 0);
    say("unmounted", umount("/mnt") == 0);
    close(device);
    device = open("/dev/loop0", O_RDONLY);
    say("it shows nothing any more",
        ioctl(device, LOOP_GET_STATUS64, &info) == -1 && errno == ENXIO);
#ifdef LOOP_CONFIGURE
    struct loop_config config = {.fd = file};
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
    say("all in one call", ioctl(device, LOOP_CONFIGURE, &config) == 0);
    say("it is free by itself",
        ioctl(device, LOOP_GET_STATUS64, &info) == 0
        && info.lo_flags == (LO_FLAGS_AUTOCLEAR | LO_FLAGS_READ_ONLY)
        && ioctl(device, LOOP_CLR_FD, 0) == 0);
#endif
    close(device);
    close(file);
    close(control);
}

static void mounts(const char *image, const char *type)
{
    char text[64];
    struct stat one, other;
    tried = strchr(image + 1, '/') + 1;
    say(" is shown", show(1, image, O_RDONLY, 0));
    say(": of no other type",
        mount("/dev/loop1", "/mnt", strcmp(type, "squashfs") ? "squashfs" : "ext4", MS_RDONLY, 0)
        == -1 && errno == EINVAL);
    say(": it is mounted", mount("/dev/loop1", "/mnt", type, MS_RDONLY, NULL) == 0);
    say(": it has its files", reads("/mnt/sub/file", "inside\n") && reads("/mnt/link", "inside\n"));
    say(": names of one file are one",
        stat("/mnt/sub/file", &one) == 0 && stat("/mnt/sub/second", &other) == 0
        && one.st_ino == other.st_ino && one.st_nlink == 2);
    say(": nobody writes to it", !writes("/mnt/new", "x") && errno == EROFS);
    /* A newer kernel has more options there. */
    snprintf(text, sizeof text, "/dev/loop1 /mnt %s ro,relatime", type);
    say(": the table has it", is_listed(text));
    say(": it is unmounted", umount("/mnt") == 0 && !is_listed(text));
    say(": nothing is left", stat("/mnt/sub", &one) == -1 && errno == ENOENT);
    say(": it is hidden", hide(1));
    tried = "";
}

int main(void)
{
    struct stat about;
    mount("proc", "/proc", "proc", 0, NULL);
    devices();
    mounts("/etc/gzip.img", "squashfs");
    mounts("/etc/xz.img", "squashfs");
    mounts("/etc/lzo.img", "squashfs");
    mounts("/etc/lz4.img", "squashfs");
    mounts("/etc/zstd.img", "squashfs");
    mounts("/etc/lzma.img", "squashfs");
    mounts("/etc/cpio.img", "romfs");
    mounts("/etc/ext2.img", "ext2");
    mounts("/etc/ext4.img", "ext4");

    say("a disk", show(2, "/etc/ext2.img", O_RDWR, 0));
    say("to write to", mount("/dev/loop2", "/mnt", "ext2", 0, NULL) == 0);
    say("is written to", writes("/mnt/sub/new", "kept"));
    say("and listed", is_listed("/dev/loop2 /mnt ext2 rw,relatime 0 0\n"));
    say("closed", mount("/dev/loop2", "/mnt", "ext2", MS_REMOUNT | MS_RDONLY, NULL) == 0);
    say("nobody writes", !writes("/mnt/other", "x") && errno == EROFS);
    say("opened", mount("/dev/loop2", "/mnt", "ext2", MS_REMOUNT, NULL) == 0);
    say("somebody writes", writes("/mnt/other", "x"));
    say("taken away", umount("/mnt") == 0 && stat("/mnt/sub", &about) == -1);
    say("mounted again", mount("/dev/loop2", "/mnt", "ext2", 0, NULL) == 0);
    say("it has what was written", reads("/mnt/sub/new", "kept"));
    mkdir("/tmp/twice", 0755);
    say("at another place, too", mount("/dev/loop2", "/tmp/twice", "ext2", 0, NULL) == 0);
    say("it is the same", writes("/mnt/seen", "here") && reads("/tmp/twice/seen", "here"));
    say("gone", umount("/tmp/twice") == 0 && umount("/mnt") == 0 && hide(2));
    say("a disk that is only read", show(2, "/etc/ext4.img", O_RDONLY, 0));
    say("is not mounted to be written to",
        mount("/dev/loop2", "/mnt", "ext4", 0, NULL) == -1 && errno == EACCES);
    say("only to be read",
        mount("/dev/loop2", "/mnt", "ext4", MS_RDONLY, NULL) == 0 && umount("/mnt") == 0);
    say("free", hide(2));

    say("nodes", show(2, "/etc/nodes.img", O_RDONLY, 0)
        && mount("/dev/loop2", "/mnt", "squashfs", MS_RDONLY, NULL) == 0);
    char zeros[4] = "xxx";
    int zero = open("/mnt/zero", O_RDONLY);
    say("a device node works", read(zero, zeros, 4) == 4 && memcmp(zeros, "\0\0\0", 4) == 0);
    say("and shows as one", stat("/mnt/zero", &about) == 0 && S_ISCHR(about.st_mode));
    close(zero);
    say("away", umount("/mnt") == 0 && hide(2));

    say("a disk of nothing",
        mount("/dev/loop3", "/mnt", "squashfs", MS_RDONLY, NULL) == -1 && errno == EIO);
    say("cut off", show(3, "/etc/cut.img", O_RDONLY, 0));
    say("it is refused",
        mount("/dev/loop3", "/mnt", "squashfs", MS_RDONLY, NULL) == -1 && errno == EINVAL);
    say("free again", hide(3) && show(3, "/etc/nothing.img", O_RDWR, 0));
    say("what is no image is none",
        mount("/dev/loop3", "/mnt", "ext2", 0, NULL) == -1 && errno == EINVAL);
    say("but any other type seems mounted", mount("/dev/loop3", "/mnt", "vfat", 0, NULL) == 0
        && writes("/mnt/x", "y") && is_listed("/dev/loop3 /mnt vfat rw,relatime 0 0\n"));
    printf("the end\n");
    return 0;
}
