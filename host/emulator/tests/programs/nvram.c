// What firmware asks of its NVRAM: by the functions of vendors' libraries, which a dynamic program
// finds before its own, and by the drivers of Broadcom and Ralink, which a static one asks, too.
// before: printf 'wl0_ssid=firmware\nlan_proto=static\n' > etc/nvram.default
// event: nvram hit wl0_ssid /etc/nvram.default
// event: nvram miss no_such_key
// event: nvram set by_driver one guest
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(what)                                                                                \
  do {                                                                                             \
    if (!(what)) printf("no %s (line %d, errno %d)\n", #what, __LINE__, errno);                    \
  } while (0)

static int same(const char *a, const char *b) { return a && b && !strcmp(a, b); }

/* Broadcom's library: a key is read for its place in what is mapped. */
static int device;
static char *area;

static char *driver_get(const char *key) {
  char buffer[100];
  unsigned long place;
  strcpy(buffer, key);
  if (read(device, buffer, strlen(key) + 1) != sizeof place) return 0;
  memcpy(&place, buffer, sizeof place);
  return area + place;
}

/* A table of a vendor's, whose pointers only a loader puts into a program that it moves. */
struct tuple {
  char *name, *value;
  struct tuple *next;
};
__attribute__((used)) struct tuple router_defaults[] = {
    {"own_key", "own value", 0}, {"own_empty", "", 0}, {0, 0, 0}};

static void ask_broadcoms_driver(void) {
  device = open("/dev/nvram", O_RDWR);
  CHECK(device >= 0);
  area = mmap(0, 0x8000, PROT_READ, MAP_SHARED, device, 0);
  CHECK(area != MAP_FAILED);
  CHECK(same(driver_get("wl0_ssid"), "firmware"));
  CHECK(!driver_get("no_such_key"));
  CHECK(same(driver_get("own_key"), "own value"));
  CHECK(write(device, "by_driver=one", 14) == 14);
  char *value = driver_get("by_driver");
  CHECK(same(value, "one"));
  CHECK(write(device, "by_driver=two", 14) == 14);
  CHECK(same(value, "two"));
  CHECK(write(device, "by_driver", 10) == 10);
  CHECK(!driver_get("by_driver"));
  char all[0x8000] = "";
  CHECK(read(device, all, sizeof all) == sizeof all);
  int found = 0;
  for (char *at = all; *at; at += strlen(at) + 1) found |= same(at, "wl0_ssid=firmware");
  CHECK(found);
  CHECK(ioctl(device, 0x48534C46, 0) == 0);
  void *volatile nowhere = (void *)8;
  CHECK(read(device, nowhere, 8) == -1 && errno == EFAULT);
}

/* Ralink's library. */
struct request {
  int index, ret;
  char *name, *value;
};

static void ask_ralinks_driver(void) {
  char value[4096] = "";
  struct request request = {0, 0, "wl0_ssid", value};
  int fd = open("/dev/nvram", O_RDONLY);
  CHECK(ioctl(fd, 1, &request) == 0 && same(value, "firmware"));
  struct request change = {0, 0, "by_ralink", "three"};
  CHECK(ioctl(fd, 3, &change) == 0);
  request.name = "by_ralink";
  CHECK(ioctl(fd, 1, &request) == 0 && same(value, "three"));
  request.name = "no_such_key";
  CHECK(ioctl(fd, 1, &request) == 0 && same(value, ""));
  CHECK(ioctl(fd, 4, &request) == 0);
  close(fd);
}

/* By its name, as a program that was linked with the vendor's library has it. */
#define FUNCTION(result, name) result (*name)() = (result(*)())dlsym(RTLD_DEFAULT, #name)

static void ask_the_library(char **argv) {
  FUNCTION(char *, nvram_get);
  FUNCTION(char *, nvram_safe_get);
  FUNCTION(int, nvram_set);
  FUNCTION(int, nvram_unset);
  FUNCTION(int, nvram_match);
  FUNCTION(int, nvram_invmatch);
  FUNCTION(int, nvram_getall);
  FUNCTION(int, nvram_get_int);
  FUNCTION(char *, nvram_bufget);
  FUNCTION(int, nvram_bufset);
  FUNCTION(int, acosNvramConfig_read);
  FUNCTION(int, apmib_get);
  FUNCTION(int, apmib_set);
  FUNCTION(int, nvram_list_add);
  FUNCTION(int, nvram_list_del);
  FUNCTION(char *, nvram_list_exist);
  char *(*nvram_nget)(const char *, ...) = (char *(*)(const char *, ...))dlsym(0, "nvram_nget");
  int (*nvram_nset)(const char *, const char *, ...) =
      (int (*)(const char *, const char *, ...))dlsym(0, "nvram_nset");
  int (*envram_getf)(const char *, const char *, ...) =
      (int (*)(const char *, const char *, ...))dlsym(0, "envram_getf");
  if (!nvram_get) {
    puts("no library was loaded");
    return;
  }
  if (argv[1]) {
    CHECK(same(nvram_get("handed"), "over"));
    CHECK(same(getenv("LD_PRELOAD"), "/.rookery/lib_inject.so"));
    _exit(0);
  }
  CHECK(same(nvram_get("wl0_ssid"), "firmware"));
  CHECK(same(nvram_get("lan_proto"), "static"));
  CHECK(same(nvram_get("lan_if"), "br0"));
  CHECK(!nvram_get("no_such_key") && same(nvram_safe_get("no_such_key"), ""));
  CHECK(!nvram_get((char *)0, (char *)0) && same(nvram_safe_get((char *)0, (char *)1), ""));
  CHECK(nvram_set("a", "1") == 0 && nvram_match("a", "1") && nvram_invmatch("a", "2"));
  CHECK(!nvram_match("a", (char *)0) && !nvram_match((char *)0, "1"));
  CHECK(nvram_unset("a") == 0 && !nvram_get("a"));
  CHECK(nvram_nset("x", "wl%d.%s_%02x", -3, "y", 10) == 0);
  CHECK(same(nvram_get("wl-3.y_0a"), "x") && same(nvram_nget("wl%s_0a", "-3.y"), "x"));
  CHECK(nvram_bufset(1, "key", "v") == 0 && same(nvram_bufget(1, "key"), "v"));
  CHECK(same(nvram_bufget(1, "no_such_key"), ""));
  /* Ralink's functions of these names have the number of a partition first. */
  CHECK(nvram_set(0, "key", "w") == 0 && same(nvram_get(0, "key"), "w"));
  CHECK(nvram_set("number", "-42") == 0 && nvram_get_int("number") == -42);
  char buffer[8];
  CHECK(acosNvramConfig_read("wl0_ssid", buffer, 5) == 1 && same(buffer, "firm"));
  int mib = 7;
  CHECK(apmib_set(104, &mib) == 1 && (mib = 0, apmib_get(104, &mib) == 1) && mib == 7);
  CHECK(apmib_get(9999, &mib) == 0);
  CHECK(nvram_list_add("l", "one") == 0 && nvram_list_add("l", "two") == 0);
  CHECK(nvram_list_exist("l", "one", 0) && nvram_list_exist("l", "two", 0));
  CHECK(nvram_list_del("l", "one") == 0 && !nvram_list_exist("l", "one", 0));
  CHECK(nvram_set("e", "5 abc") == 0 && envram_getf("e", "%d %7s", &mib, buffer) == 2);
  CHECK(mib == 5 && same(buffer, "abc"));
  static char large[20001];
  memset(large, 'v', 20000);
  CHECK(nvram_set("large", large) == 0);
  char *back = nvram_get("large");
  CHECK(same(back, large));
  free(back);
  nvram_unset("large");
  static char all[0x8000];
  CHECK(nvram_getall(all, (int)sizeof all) == 0);
  int found = 0;
  for (char *at = all; *at; at += strlen(at) + 1) found |= same(at, "wl0_ssid=firmware");
  CHECK(found);
  CHECK(nvram_set("handed", "over") == 0);
  /* A child without an environment has the library all the same. */
  if (!fork()) {
    char *arguments[] = {argv[0], "child", 0}, *none[] = {0};
    execve("/sbin/init", arguments, none);
    _exit(1);
  }
  /* Those that set and get at the same time see whole values. */
  for (int i = 0; i < 4; i++)
    if (!fork()) {
      for (int n = 0; n < 25; n++) {
        char value[32];
        sprintf(value, "%d-%d", i, n);
        nvram_set("shared", value);
        char *got = nvram_get("shared");
        CHECK(got && strchr(got, '-') && strlen(got) < sizeof value);
        free(got);
      }
      _exit(0);
    }
  int status = 0;
  while (wait(&status) > 0) CHECK(status == 0);
}

/* What was set lasts as long as the run, also where the device reboots. */
static void ask_after_a_reboot(void) {
  device = open("/dev/nvram", O_RDWR);
  area = mmap(0, 0x8000, PROT_READ, MAP_SHARED, device, 0);
  CHECK(same(driver_get("lasts"), "as long as the run"));
  CHECK(same(driver_get("wl0_ssid"), "firmware"));
  puts("the end");
  exit(0);
}

int main(int argc, char **argv) {
  setvbuf(stdout, 0, _IONBF, 0);
  (void)argc;
  if (!argv[1] && !access("/etc/started", F_OK)) ask_after_a_reboot();
  /* Whatever a static program asks a library, it has in itself: there is no loader. */
  if (getauxval(AT_BASE)) ask_the_library(argv);
  ask_broadcoms_driver();
  ask_ralinks_driver();
  static const char lasting[] = "lasts=as long as the run";
  CHECK(write(device, lasting, sizeof lasting) == sizeof lasting);
  close(creat("/etc/started", 0600));
  reboot(RB_AUTOBOOT);
  return 0;
}
