// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <boost/system/error_code.hpp>

#include "control/cli/invocation/failure.h"

namespace teal::cli {

// Why a socket cannot be connected to, from what is to be seen of it, and what to do about it.
Failure unreachable(const std::string& socket, const boost::system::error_code& error);

// control.sock is for operators; the socket beside it that everybody may read from. Empty: it is another one.
std::string readable_sibling(const std::string& socket);

}  // namespace teal::cli
