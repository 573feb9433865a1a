// SPDX-License-Identifier: Apache-2.0
//
// As control/pch/control.h, for the tests of teald and the command line.
#include "control/pch/control.h"

#include <fstream>
#include <random>
#include <set>
#include <thread>

#include <gtest/gtest.h>
