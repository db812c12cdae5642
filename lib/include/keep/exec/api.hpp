// What the shared library shows. Everything else in it is hidden.
#pragma once

#if defined(__GNUC__)
#define KEEPEXEC_API __attribute__((visibility("default")))
#else
#define KEEPEXEC_API
#endif
