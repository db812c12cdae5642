// The one translation unit that carries doctest's implementation; every unit-test program links it.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
