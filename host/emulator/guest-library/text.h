/* What a C library would do, of which none is certain to be there. */

#ifndef TEXT_H
#define TEXT_H

#include "call.h"

typedef __builtin_va_list va_list;
#define va_start __builtin_va_start
#define va_end __builtin_va_end
#define va_arg __builtin_va_arg

/* A compiler calls these two of its own accord. */
__attribute__((visibility("hidden"))) void *memcpy(void *to, const void *from, size_t size) {
  char *d = to;
  const char *s = from;
  while (size--) *d++ = *s++;
  return to;
}

__attribute__((visibility("hidden"))) void *memset(void *to, int byte, size_t size) {
  char *d = to;
  while (size--) *d++ = (char)byte;
  return to;
}

static size_t length(const char *text) {
  size_t n = 0;
  while (text[n]) n++;
  return n;
}

static int is_same(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c; }

/* Append to `buffer`, which is full at `size`; gives the new length. */
static size_t put(char *buffer, size_t size, size_t at, char c) {
  if (at + 1 < size) buffer[at] = c;
  return at + 1;
}

/* Decimal digits of a number, the last first. Where a processor cannot divide, a compiler would
 * call its library; for a constant it multiplies. */
static int digits(char *into, unsigned long value) {
  int n = 0;
  do into[n++] = '0' + value % 10;
  while (value /= 10);
  return n;
}

static int hexadecimal(char *into, unsigned long value, const char *names) {
  int n = 0;
  do into[n++] = names[value & 15];
  while (value >>= 4);
  return n;
}

/* printf(3) for what stands in keys: %d %i %u %x %X %c %s, a width, a precision of strings, l. */
static void format(char *buffer, size_t size, const char *text, va_list values) {
  size_t at = 0;
  for (; *text; text++) {
    if (*text != '%') {
      at = put(buffer, size, at, *text);
      continue;
    }
    int left = 0, zeros = 0, width = 0, precision = -1, wide = 0, n = 0;
    for (text++; *text == '-' || *text == '0'; text++) *text == '-' ? (left = 1) : (zeros = 1);
    for (; *text >= '0' && *text <= '9'; text++) width = width * 10 + *text - '0';
    if (*text == '.')
      for (precision = 0, text++; *text >= '0' && *text <= '9'; text++)
        precision = precision * 10 + *text - '0';
    for (; *text == 'l' || *text == 'h' || *text == 'z'; text++) wide |= *text != 'h';
    char number[24], sign = 0;
    const char *word = 0;
    switch (*text) {
    case 'd':
    case 'i': {
      long value = wide ? va_arg(values, long) : va_arg(values, int);
      if (value < 0) sign = '-';
      n = digits(number, value < 0 ? -(unsigned long)value : (unsigned long)value);
      break;
    }
    case 'u':
    case 'x':
    case 'X': {
      unsigned long value = wide ? va_arg(values, unsigned long) : va_arg(values, unsigned);
      if (*text == 'u') n = digits(number, value);
      else n = hexadecimal(number, value, *text == 'x' ? "0123456789abcdef" : "0123456789ABCDEF");
      break;
    }
    case 'c':
      number[0] = (char)va_arg(values, int), n = 1;
      break;
    case 's':
      word = va_arg(values, const char *);
      if (!word) word = "";
      while ((precision < 0 || n < precision) && word[n]) n++;
      break;
    case 0:
      text--;
      continue;
    default:
      number[0] = *text, n = 1;
    }
    int fill = width - n - (sign != 0);
    if (fill > (int)size) fill = (int)size;
    if (sign && zeros) at = put(buffer, size, at, sign);
    for (; !left && fill > 0; fill--) at = put(buffer, size, at, zeros && !word ? '0' : ' ');
    if (sign && !zeros) at = put(buffer, size, at, sign);
    for (int i = 0; i < n; i++) at = put(buffer, size, at, word ? word[i] : number[n - 1 - i]);
    for (; fill > 0; fill--) at = put(buffer, size, at, ' ');
  }
  buffer[at < size ? at : size - 1] = 0;
}

/* The number at the start of a text, as strtol(3) with base 0 reads it. */
static int number_of(const char *text) {
  unsigned value = 0, base = 10;
  int negative = *text == '-';
  if (negative || *text == '+') text++;
  if (text[0] == '0' && lower(text[1]) == 'x') base = 16, text += 2;
  for (;; text++) {
    char c = lower(*text);
    unsigned digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
    if (digit >= base) break;
    value = value * base + digit;
  }
  return negative ? -(int)value : (int)value;
}

static int is_number(const char *text) {
  if (*text == '-') text++;
  if (!*text) return 0;
  while (*text >= '0' && *text <= '9') text++;
  return !*text;
}

#endif
