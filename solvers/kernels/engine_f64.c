/* The kernel in double precision. */
#define REAL double
#define ENTRY(name) pushforward_f64_##name
#include "engine.h"
