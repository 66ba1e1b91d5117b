// The first and only program of a firmware: it asks the vendor's driver for a key of the NVRAM
// (Broadcom's way: what is read holds the key, and gets its value's place), and serves if that has
// a value. Of another key it takes what it gets for a text.
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAGE "HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\npanel\n"

static const char *nvram_get(const char *key) {
  static char *area;
  static int device = -1;
  char buffer[100];
  unsigned long place;
  if (device < 0) {
    device = open("/dev/nvram", O_RDWR);
    area = mmap(0, 0x8000, PROT_READ, MAP_SHARED, device, 0);
  }
  strcpy(buffer, key);
  if (device < 0 || read(device, buffer, strlen(key) + 1) != sizeof place) return 0;
  memcpy(&place, buffer, sizeof place);
  return area + place;
}

int main(void) {
  const char *revision = nvram_get("panel_rev");
  if (!revision || strncmp(revision, "rev-", 4)) {
    dprintf(2, "init: panel_rev is not set\n");
    return 1;
  }
  if (strlen(nvram_get("landevs")) > 90) return 1;
  int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(80)};
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 8)) return 1;
  for (;;) {
    char request[1000];
    int client = accept(listener, 0, 0);
    if (client < 0) continue;
    if (read(client, request, sizeof request) > 0) write(client, PAGE, strlen(PAGE));
    close(client);
  }
}
