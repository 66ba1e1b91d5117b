/* What a program wants of its surroundings. These have their libc's names only in runs that look
 * for a value: such a name is given in a slot. */

extern WEAK char **__environ;

static const char MAGIC[] = "DYNVALDYNVALDYNVAL";

static int has_magic(const char *text) {
  for (size_t i = 0; i + 1 < sizeof MAGIC; i++)
    if (text[i] != MAGIC[i]) return 0;
  return 1;
}

/* Tell what was compared with the magic value. */
static void compared(const char *a, const char *b, size_t size) {
  char other[256];
  const char *text = has_magic(a) ? b : has_magic(b) ? a : 0;
  if (!text) return;
  size_t n = 0;
  while (n < size && n + 1 < sizeof other && text[n]) other[n] = text[n], n++;
  other[n] = 0;
  ask("/.rookery/nvram/compared", other, n + 1);
}

static int compare(const char *a, const char *b, size_t size, int folded) {
  if (size && (*a == MAGIC[0] || *b == MAGIC[0])) compared(a, b, size);
  for (; size; size--, a++, b++) {
    unsigned char x = folded ? lower(*a) : *a, y = folded ? lower(*b) : *b;
    if (x != y) return x - y;
    if (!x) return 0;
  }
  return 0;
}

EXPORT int libinject_strcmp(const char *a, const char *b) { return compare(a, b, -1, 0); }
EXPORT int libinject_strcasecmp(const char *a, const char *b) { return compare(a, b, -1, 1); }

EXPORT int libinject_strncmp(const char *a, const char *b, size_t size) {
  return compare(a, b, size, 0);
}

EXPORT int libinject_strncasecmp(const char *a, const char *b, size_t size) {
  return compare(a, b, size, 1);
}

EXPORT char *libinject_getenv(const char *name) {
  char missing[KEY];
  size_t n = name ? length(name) : 0;
  if (!n) return 0;
  for (char **at = &__environ ? __environ : 0; at && *at; at++) {
    size_t i = 0;
    while (i < n && (*at)[i] == name[i]) i++;
    if (i == n && (*at)[n] == '=') return *at + n + 1;
  }
  fetch("/.rookery/nvram/getenv", name, missing, sizeof missing);
  return 0;
}
