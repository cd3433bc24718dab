#include "ref/tests/windows_support.h"
int main() { return 0; }
