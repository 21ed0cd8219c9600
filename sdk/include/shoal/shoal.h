#pragma once

// All of Shoal that a program needs.
//
//   fields.h   SHOAL_FIELDS: the members of a struct that travel
//   values.h   what else can travel, and how
//   kernel.h   Kernel: a function with a name, which computes one unit
//   session.h  run, Session, JobOptions: from the program to a pool or to this machine's cores
//   job.h      Job, UnitResult, Progress: results as they are verified
//   error.h    Error: what calls throw, with a code and a sentence

#include "shoal/error.h"
#include "shoal/fields.h"
#include "shoal/job.h"
#include "shoal/kernel.h"
#include "shoal/session.h"
#include "shoal/values.h"
