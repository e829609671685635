/* SPDX-License-Identifier: Apache-2.0 */
/* clevis-tls: the one program of ours that links libssl. */
#include "cmd/clevis-tls/helper.h"

int main(int argc, char *argv[])
{
	return tls_helper_main(argc, argv);
}
