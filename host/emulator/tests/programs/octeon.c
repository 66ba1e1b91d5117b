/* Instructions that only Cavium's processors have (OCTEON cnMIPS, GNU as's -march=octeon), in a
   program whose header says that it needs one. */
// only: mips64el -march=octeon
#include <stdio.h>

int main(void)
{
	unsigned long sum, ones, equal;
	const unsigned long a = 0xf0, b = 0x1f, many = 0xff00ff00ff00ff01;

	asm("baddu %0, %1, %2" : "=r"(sum) : "r"(a), "r"(b));
	if (sum != 0x0f)
		printf("no addition of bytes: %lx\n", sum);
	asm("dpop %0, %1" : "=r"(ones) : "r"(many));
	if (ones != 33)
		printf("no count of ones: %lu\n", ones);
	asm("seq %0, %1, %2" : "=r"(equal) : "r"(a), "r"(a));
	if (equal != 1)
		printf("no comparison: %lu\n", equal);
	puts("the end");
	return 0;
}
