/* Stands before a vendor's libnvram in every dynamic program of the guest (LD_PRELOAD): what that
 * would ask a driver or flash, this asks the supervisor, which has the values.
 *
 * It is loaded by every C library, old and new, so it is freestanding: of others it wants `malloc`,
 * and `vsscanf` where envram_getf is used, and does without them where they are not there. Its
 * functions have Penguin's names (`libinject_…`), which `lib_inject.aliases` of a configuration
 * may give further names; names.h gives them the vendors'. */

#include "text.h"

#define EXPORT __attribute__((visibility("default")))
#define WEAK __attribute__((weak))

extern WEAK void *malloc(size_t size);
extern WEAK int vsscanf(const char *text, const char *pattern, va_list into);

/* Of one key, and of a value that needs no memory of its own. */
#define KEY 512
#define VALUE 4096
/* What a caller's buffer surely holds that does not say how much. */
#define UNSAID 64
/* Vendors' answers to "did it work". */
#define DONE 0
#define FAILED (-1)
/* Separates the items of a list, as in firmadyne's library. */
#define BETWEEN '\xff'
#define LIST_MAGIC 0xdeadbeef

/* Ralink's functions have the number of a partition before the key. */
static int is_index(const void *first) { return (size_t)first < 4096; }

static const char *key_of(const void *first, const void *second) {
  if (!is_index(first)) return first;
  return !is_index(second) && is_readable(second) ? second : 0;
}

/* Question `what` about a key; the answer is NUL-terminated in `buffer` where it fits. */
static long fetch(const char *what, const char *key, char *buffer, size_t size) {
  if (!key || !buffer) return -1;
  size_t n = length(key);
  if (n >= KEY || n + 1 > size) return -1;
  memcpy(buffer, key, n + 1);
  long got = ask(what, buffer, size);
  if (got >= 0) buffer[(size_t)got < size ? (size_t)got : size - 1] = 0;
  return got;
}

static long value_of(const char *key, char *buffer, size_t size) {
  return fetch("/.rookery/nvram/get", key, buffer, size);
}

static char *copy(const char *text, size_t size) {
  char *copied = malloc ? malloc(size + 1) : 0;
  if (!copied) return 0;
  memcpy(copied, text, size);
  copied[size] = 0;
  return copied;
}

/* In memory that the caller may free: some do. */
static char *get(const char *key) {
  char buffer[VALUE];
  long n = value_of(key, buffer, sizeof buffer);
  if (n < 0) return 0;
  if ((size_t)n < sizeof buffer) return copy(buffer, n);
  char *large = malloc ? malloc(n + 1) : 0;
  if (large && value_of(key, large, n + 1) < 0) large[0] = 0;
  return large;
}

static char *safe_get(const char *key) {
  char *value = get(key);
  return value ? value : copy("", 0);
}

/* Two strings one after the other are the question. */
static int set(const char *key, const char *value) {
  if (!key || !*key) return FAILED;
  if (!value) value = "";
  size_t n = length(key), m = length(value);
  if (n >= KEY) return FAILED;
  char small[VALUE];
  char *both = small;
  if (n + m + 2 > sizeof small) both = malloc ? malloc(n + m + 2) : 0;
  if (!both) return FAILED;
  memcpy(both, key, n + 1);
  memcpy(both + n + 1, value, m + 1);
  long done = ask("/.rookery/nvram/set", both, n + m + 2);
  /* A large one stays allocated: `free` need not be the one that belongs to this `malloc`. */
  return done < 0 ? FAILED : DONE;
}

static int set_number(const char *key, int number) {
  char text[16], reversed[16];
  int n = digits(reversed, number < 0 ? -(unsigned long)number : (unsigned long)number);
  int at = 0;
  if (number < 0) text[at++] = '-';
  while (n) text[at++] = reversed[--n];
  text[at] = 0;
  return set(key, text);
}

static int unset(const char *key) {
  char buffer[KEY];
  return fetch("/.rookery/nvram/unset", key, buffer, sizeof buffer) < 0 ? FAILED : DONE;
}

static int plainly(const char *question) {
  char nothing[1] = {0};
  return ask(question, nothing, 1) < 0 ? FAILED : DONE;
}

static int matches(const char *key, const char *value) {
  char buffer[VALUE];
  return value && value_of(key, buffer, sizeof buffer) >= 0 && is_same(buffer, value);
}

static int get_into(const char *key, char *buffer, size_t size) {
  char value[VALUE];
  if (!buffer || !size) return 0;
  buffer[0] = 0;
  long n = value_of(key, value, sizeof value);
  if (n < 0) return 0;
  if ((size_t)n >= sizeof value) n = sizeof value - 1;
  if ((size_t)n >= size) n = size - 1;
  memcpy(buffer, value, n);
  buffer[n] = 0;
  return 1;
}

/* `key=value`, each with a NUL, and one more at the end. */
static int all(char *buffer, size_t size) {
  if (!buffer || size < 2) return FAILED;
  buffer[0] = 0;
  long n = ask("/.rookery/nvram/all", buffer, size - 1);
  if (n < 0) return FAILED;
  buffer[(size_t)n < size ? (size_t)n : size - 1] = 0;
  return DONE;
}

/* Where `item` is in a list; NULL where it is not. */
static char *item_in(char *list, const char *item) {
  for (char *at = list; *at;) {
    char *end = at;
    while (*end && *end != BETWEEN) end++;
    size_t i = 0;
    while (at + i < end && item[i] && at[i] == item[i]) i++;
    if (at + i == end && !item[i]) return at;
    at = *end ? end + 1 : end;
  }
  return 0;
}

/* The getters and setters. */

EXPORT int libinject_nvram_init(void) { return DONE; }
EXPORT int libinject_nvram_close(void) { return DONE; }
EXPORT int libinject_nvram_commit(void) { return plainly("/.rookery/nvram/commit"); }
EXPORT int libinject_nvram_reset(void) { return plainly("/.rookery/nvram/reset"); }
EXPORT int libinject_nvram_clear(void) { return plainly("/.rookery/nvram/clear"); }

EXPORT char *libinject_nvram_get(const void *key, const void *second) {
  return get(key_of(key, second));
}

EXPORT char *libinject_nvram_safe_get(const void *key, const void *second) {
  return safe_get(key_of(key, second));
}

EXPORT char *libinject_nvram_default_get(const char *key, const char *otherwise) {
  char *value = get(key);
  if (value || !otherwise) return value;
  set(key, otherwise);
  return copy(otherwise, length(otherwise));
}

EXPORT int libinject_nvram_get_buf(const char *key, char *buffer, size_t size) {
  return get_into(key, buffer, size);
}

EXPORT int libinject_nvram_get_int(const char *key) {
  char value[VALUE];
  return value_of(key, value, sizeof value) < 0 ? 0 : number_of(value);
}

EXPORT int libinject_nvram_getall(char *buffer, size_t size) { return all(buffer, size); }

EXPORT int libinject_nvram_set(const void *key, const void *value, const void *third) {
  if (is_index(key) && !is_index(value) && is_readable(value))
    return set(value, is_index(third) || !is_readable(third) ? 0 : third);
  return is_index(key) ? FAILED : set(key, value);
}

EXPORT int libinject_nvram_set_int(const char *key, int value) { return set_number(key, value); }
EXPORT int libinject_nvram_unset(const char *key) { return unset(key); }
EXPORT int libinject_nvram_safe_unset(const char *key) { return unset(key); }

EXPORT int libinject_nvram_match(const char *key, const char *value) {
  return matches(key, value);
}

EXPORT int libinject_nvram_invmatch(const char *key, const char *value) {
  return !matches(key, value);
}

EXPORT char *libinject_nvram_list_exist(const char *key, const char *item, int magic) {
  char *list = item ? get(key) : 0;
  char *found = list ? item_in(list, item) : 0;
  return (unsigned)magic == LIST_MAGIC ? found : (char *)(size_t)(found != 0);
}

EXPORT int libinject_nvram_list_add(const char *key, const char *item) {
  char list[VALUE];
  if (!key || !item) return FAILED;
  if (!get_into(key, list, sizeof list)) return set(key, item);
  size_t n = length(list), m = length(item);
  if (item_in(list, item)) return DONE;
  if (n + m + 2 > sizeof list) return FAILED;
  if (n) list[n++] = BETWEEN;
  memcpy(list + n, item, m + 1);
  return set(key, list);
}

EXPORT int libinject_nvram_list_del(const char *key, const char *item) {
  char list[VALUE];
  if (!key || !item) return FAILED;
  if (!get_into(key, list, sizeof list)) return DONE;
  char *at = item_in(list, item);
  if (!at) return DONE;
  char *after = at + length(item);
  if (*after) after++;
  else if (at > list) at--;
  while ((*at++ = *after++)) {
  }
  return set(key, list);
}

/* Broadcom and Atheros: the key is made by a format. */

#define KEY_FROM(pattern)                                                                          \
  char key[KEY];                                                                                   \
  va_list values;                                                                                  \
  va_start(values, pattern);                                                                       \
  format(key, sizeof key, (pattern) ? (pattern) : "", values);                                     \
  va_end(values)

EXPORT int libinject_nvram_get_nvramspace(void) { return 32768; }

EXPORT char *libinject_nvram_nget(const char *pattern, ...) {
  KEY_FROM(pattern);
  return get(key);
}

EXPORT int libinject_nvram_nset(const char *value, const char *pattern, ...) {
  KEY_FROM(pattern);
  return set(key, value);
}

EXPORT int libinject_nvram_nset_int(int value, const char *pattern, ...) {
  KEY_FROM(pattern);
  return set_number(key, value);
}

EXPORT int libinject_nvram_nmatch(const char *value, const char *pattern, ...) {
  KEY_FROM(pattern);
  return matches(key, value);
}

/* Netgear. */

EXPORT int libinject_WAN_ith_CONFIG_GET(char *buffer, const char *pattern, ...) {
  KEY_FROM(pattern);
  return get_into(key, buffer, UNSAID);
}

/* Zyxel and Edimax: 0 is success. */

EXPORT int libinject_nvram_getall_adv(int part, char *buffer, size_t size) {
  (void)part;
  return all(buffer, size);
}

EXPORT char *libinject_nvram_get_adv(int part, const char *key) {
  (void)part;
  return get(key);
}

EXPORT int libinject_nvram_set_adv(int part, const char *key, const char *value) {
  (void)part;
  return set(key, value);
}

EXPORT int libinject_nvram_state(int one, void *two, void *three) {
  (void)one, (void)two, (void)three;
  return 0;
}

EXPORT int libinject_envram_commit(void) { return DONE; }
EXPORT int libinject_envram_default(void) { return DONE; }
EXPORT int libinject_envram_load(void) { return DONE; }
EXPORT int libinject_envram_safe_load(void) { return DONE; }

EXPORT int libinject_envram_match(const char *key, const char *value) {
  return !matches(key, value);
}

EXPORT int libinject_envram_get(const char *key, char *buffer) {
  return !get_into(key, buffer, UNSAID);
}

EXPORT int libinject_envram_getf(const char *key, const char *pattern, ...) {
  char value[VALUE];
  if (!pattern || !get_into(key, value, sizeof value)) return 0;
  va_list into;
  va_start(into, pattern);
  int n = vsscanf ? vsscanf(value, pattern, into) : 0;
  va_end(into);
  return n;
}

EXPORT int libinject_envram_set(const char *key, const char *value) { return set(key, value); }

EXPORT int libinject_envram_setf(const char *key, const char *pattern, ...) {
  char value[VALUE];
  va_list values;
  va_start(values, pattern);
  format(value, sizeof value, pattern ? pattern : "", values);
  va_end(values);
  return set(key, value);
}

EXPORT int libinject_envram_unset(const char *key) { return unset(key); }

/* Ralink: what is not there is "". */

EXPORT char *libinject_nvram_bufget(int part, const char *key) {
  (void)part;
  return safe_get(key);
}

EXPORT int libinject_nvram_bufset(int part, const char *key, const char *value) {
  (void)part;
  return set(key, value);
}

/* Realtek: the key is a number, written in decimal. What the caller's buffer is for is not said:
 * a number for what looks like one, else a string. */

static void mib(char *key, int id) {
  int n = digits(key + 1, id < 0 ? 0 : id);
  for (int i = 0; i < n; i++) key[n + 1 + i] = key[n - i];
  memcpy(key, key + n + 1, n);
  key[n] = 0;
}

EXPORT int libinject_apmib_get(int id, void *buffer) {
  char key[24], value[UNSAID];
  mib(key, id);
  if (!buffer || !get_into(key, value, sizeof value)) return 0;
  if (is_number(value)) {
    int number = number_of(value);
    memcpy(buffer, &number, sizeof number);
  } else {
    memcpy(buffer, value, length(value) + 1);
  }
  return 1;
}

EXPORT int libinject_apmib_set(int id, void *buffer) {
  char key[24], old[UNSAID];
  int number;
  mib(key, id);
  if (!buffer) return 0;
  if (get_into(key, old, sizeof old) && !is_number(old)) return set(key, buffer) == DONE;
  memcpy(&number, buffer, sizeof number);
  return set_number(key, number) == DONE;
}

/* Constant answers, for functions that only have to succeed or to fail. */

EXPORT int libinject_ret_0(void) { return 0; }
EXPORT int libinject_ret_1(void) { return 1; }
EXPORT int libinject_ret_0_arg(char *argument) {
  (void)argument;
  return 0;
}
EXPORT int libinject_ret_1_arg(char *argument) {
  (void)argument;
  return 1;
}

/* Of the configuration's defaults the supervisor has read all; there is nothing to parse. */
EXPORT int libinject_parse_nvram_from_file(const char *file) {
  (void)file;
  return 1;
}

#include "names.h"
#include "observe.h"
#include "slots.h"
