// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <boost/system/error_code.hpp>

#include "control/cli/invocation/failure.h"

namespace teal::cli {

// The failure for a socket that cannot be connected to. It looks at the file to say why, and what to do.
Failure unreachable(const std::string& socket, const boost::system::error_code& error);

// The path of status.sock in the folder of control.sock. Empty if `socket` has another name.
std::string readable_sibling(const std::string& socket);

}  // namespace teal::cli
