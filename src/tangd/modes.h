/* SPDX-License-Identifier: Apache-2.0 */
/* Who else can get at the keys: told to the operator, since nobody else can say whether it is meant so. */
#pragma once

/*
 * Warns in the log, a line each with what to type, of a key folder that everybody can write to, and of key files, hidden ones
 * too, that everybody can read or write; a link counts as the file it leads to. `path` names the folder in messages.
 */
void modes_warn(int folder_fd, const char *path);
