/* SPDX-License-Identifier: Apache-2.0 */
/* The Tang protocol, which server and client share. */
#pragma once

#include "tang/advertisement.h"
#include "tang/exchange.h"
