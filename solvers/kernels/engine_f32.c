/* The kernel in single precision. */
#define REAL float
#define ENTRY(name) pushforward_f32_##name
#include "engine.h"
