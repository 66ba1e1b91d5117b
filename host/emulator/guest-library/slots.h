/* Names that a run may give to functions above, by writing over these in a copy of the library:
 * a name is 40 bytes long, with its NUL at most. `host/emulator/src/qemu/library.rs` counts on
 * it. */

#define SLOT(digits)                                                                               \
  EXPORT int rookery_slot_that_a_run_may_name_____##digits(void)                                   \
      __attribute__((alias("libinject_ret_0")))
#define EIGHT(digit)                                                                               \
  SLOT(digit##0);                                                                                  \
  SLOT(digit##1);                                                                                  \
  SLOT(digit##2);                                                                                  \
  SLOT(digit##3);                                                                                  \
  SLOT(digit##4);                                                                                  \
  SLOT(digit##5);                                                                                  \
  SLOT(digit##6);                                                                                  \
  SLOT(digit##7)

EIGHT(0);
EIGHT(1);
EIGHT(2);
EIGHT(3);
EIGHT(4);
EIGHT(5);
