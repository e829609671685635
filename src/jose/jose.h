/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Object Signing and Encryption: all that other folders may use of jose/. */
#pragma once

#include "jose/alg.h"	     /* the algorithms, in one table */
#include "jose/b64.h"	     /* base64url */
#include "jose/ec.h"	     /* points on curves */
#include "jose/jwe.h"	     /* encryption */
#include "jose/jwk.h"	     /* keys */
#include "jose/jws.h"	     /* signatures */
#include "jose/thumbprint.h" /* names of keys */
