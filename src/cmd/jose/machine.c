/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/jose/machine.h"

#include "base/json.h"
#include "cmd/jose/output.h"
#include "jose/b64.h"

#include <stdlib.h>
#include <string.h>

enum { VALUE_SIZE = 32, CONTAINER_SIZE = 128, FIRST_ROOM = 16 };

void machine_free(struct machine *machine)
{
	for (size_t i = 0; i < machine->count; i++)
		json_decref(machine->items[i]);
	free(machine->items);
	*machine = (struct machine){0};
}

/* --- How large values are -------------------------------------------------------------------------------------------------- */

struct walk {
	const json_t *avoid; /* must not be in it */
	size_t most;	     /* bytes */
	size_t bytes;
	size_t depth;
};

static bool walk(struct walk *state, json_t *value, size_t depth)
{
	const char *name;
	json_t *member;
	size_t i;
	bool is_container = json_is_array(value) || json_is_object(value);

	state->bytes += is_container ? CONTAINER_SIZE : VALUE_SIZE + json_string_length(value);
	if (value == state->avoid || state->bytes > state->most || depth > MACHINE_DEPTH_MAX)
		return false;
	if (!is_container)
		return true;
	state->depth = depth > state->depth ? depth : state->depth;
	json_array_foreach(value, i, member)
		if (!walk(state, member, depth + 1))
			return false;
	json_object_foreach(value, name, member) {
		state->bytes += strlen(name);
		if (!walk(state, member, depth + 1))
			return false;
	}
	return true;
}

static bool is_small(json_t *value)
{
	return walk(&(struct walk){.most = MACHINE_WRITTEN_MAX}, value, 1);
}

static bool may_copy(struct machine *machine, json_t *value)
{
	struct walk state = {.most = MACHINE_COPIED_MAX - machine->copied};
	bool may = walk(&state, value, 1);

	machine->copied += may ? state.bytes : 0;
	return may;
}

/* Whether an array may get so many items more, of an array that may be itself. */
static bool may_grow(struct machine *machine, size_t items)
{
	if (items > (MACHINE_COPIED_MAX - machine->copied) / sizeof(json_t *))
		return false;
	machine->copied += items * sizeof(json_t *);
	return true;
}

/* Allows for values that become deeper by `more`, unless that would be too deep. */
static bool may_deepen(struct machine *machine, size_t more)
{
	struct walk state = {.most = MACHINE_WRITTEN_MAX};

	if (machine->depth + more > MACHINE_DEPTH_MAX) {
		for (size_t i = 0; i < machine->count; i++)
			if (!walk(&state, machine->items[i], 1))
				return false;
		machine->depth = state.depth;
	}
	machine->depth += more;
	return machine->depth <= MACHINE_DEPTH_MAX;
}

/* Whether `child` may come to stand in `parent`: the one must not be in the other already, nor the whole be too deep. */
static bool may_attach(struct machine *machine, const json_t *parent, json_t *child)
{
	struct walk state = {.avoid = parent, .most = MACHINE_WRITTEN_MAX};

	return walk(&state, child, 1) && (state.depth == 0 || may_deepen(machine, state.depth));
}

static bool may_attach_members(struct machine *machine, const json_t *parent, json_t *from)
{
	const char *name;
	json_t *member;
	size_t i;

	json_array_foreach(from, i, member)
		if (!may_attach(machine, parent, member))
			return false;
	json_object_foreach(from, name, member)
		if (!may_attach(machine, parent, member))
			return false;
	return true;
}

/* --- The stack ------------------------------------------------------------------------------------------------------------- */

/* Takes the value over; NULL, as of a function that failed, is a failure. */
static bool push(struct machine *machine, json_t *value)
{
	if (value && machine->count == machine->room) {
		size_t room = machine->room ? machine->room * 2 : FIRST_ROOM;
		json_t **items = reallocarray(machine->items, room, sizeof(json_t *));

		if (items) {
			machine->items = items;
			machine->room = room;
		}
	}
	if (!value || machine->count == machine->room) {
		json_decref(value);
		return false;
	}
	machine->items[machine->count++] = value;
	return true;
}

/* The same of one that was parsed. */
static bool push_new(struct machine *machine, json_t *value)
{
	struct walk state = {.most = MACHINE_WRITTEN_MAX};

	if (value && !walk(&state, value, 1)) {
		json_decref(value);
		return false;
	}
	machine->depth = state.depth > machine->depth ? state.depth : machine->depth;
	return push(machine, value);
}

/* NULL where there is none. */
static json_t *top(const struct machine *machine)
{
	return machine->count > 0 ? machine->items[machine->count - 1] : NULL;
}

static json_t *prev(const struct machine *machine)
{
	return machine->count > 1 ? machine->items[machine->count - 2] : NULL;
}

#define OPERATION(name)                                                         \
	static bool name(__attribute__((unused)) struct machine *machine,       \
			 __attribute__((unused)) const struct operand *operand, \
			 __attribute__((unused)) struct error *err)

#define ASSERTION(name, type)                        \
	OPERATION(name)                              \
	{                                            \
		return json_is_##type(top(machine)); \
	}

ASSERTION(assert_object, object)
ASSERTION(assert_array, array)
ASSERTION(assert_string, string)
ASSERTION(assert_integer, integer)
ASSERTION(assert_real, real)
ASSERTION(assert_number, number)
ASSERTION(assert_true, true)
ASSERTION(assert_false, false)
ASSERTION(assert_boolean, boolean)
ASSERTION(assert_null, null)

OPERATION(assert_equal)
{
	return prev(machine) && is_small(top(machine)) && json_equal(top(machine), prev(machine));
}

OPERATION(push_json)
{
	return push_new(machine, json_incref(operand->value));
}

OPERATION(unwind)
{
	if (machine->count == 0)
		return false;
	json_decref(machine->items[--machine->count]);
	return true;
}

OPERATION(copy)
{
	return top(machine) && may_copy(machine, top(machine)) &&
	       push(machine, json_deep_copy(top(machine)));
}

OPERATION(query)
{
	json_t *all = json_array();

	if (!all || !may_deepen(machine, 1)) {
		json_decref(all);
		return false;
	}
	for (size_t i = machine->count; i > 0; i--) {
		if (!may_copy(machine, machine->items[i - 1]) ||
		    json_array_append_new(all, json_deep_copy(machine->items[i - 1])) < 0) {
			json_decref(all);
			return false;
		}
	}
	return push(machine, all);
}

OPERATION(move)
{
	json_t *moved = top(machine);
	size_t back;

	if (!moved || operand->number < 0 || (unsigned long long)operand->number >= machine->count)
		return false;
	for (back = 0; back < (size_t)operand->number; back++)
		machine->items[machine->count - 1 - back] =
			machine->items[machine->count - 2 - back];
	machine->items[machine->count - 1 - back] = moved;
	return true;
}

/* --- Arrays and objects ---------------------------------------------------------------------------------------------------- */

/* Finds the place in an array that the text names, from the end where it is negative. What follows a number is ignored. */
static bool find_index(const char *text, const json_t *array, size_t *index)
{
	long long size = (long long)json_array_size(array);
	char *end;
	long long number = strtoll(text, &end, 10);

	number += number < 0 ? size : 0;
	*index = (size_t)number;
	return end != text && number >= 0 && number < size;
}

OPERATION(get)
{
	size_t i;

	if (json_is_array(top(machine)))
		return find_index(operand->text, top(machine), &i) &&
		       push(machine, json_incref(json_array_get(top(machine), i)));
	return push(machine, json_incref(json_object_get(top(machine), operand->text)));
}

OPERATION(set)
{
	json_t *parent = prev(machine);
	size_t i;

	if (!parent || !may_attach(machine, parent, top(machine)))
		return false;
	if (json_is_array(parent))
		return find_index(operand->text, parent, &i) &&
		       json_array_set(parent, i, top(machine)) == 0;
	return json_object_set(parent, operand->text, top(machine)) == 0;
}

OPERATION(delete)
{
	size_t i;

	if (json_is_array(top(machine)))
		return find_index(operand->text, top(machine), &i) &&
		       json_array_remove(top(machine), i) == 0;
	return json_object_del(top(machine), operand->text) == 0;
}

OPERATION(insert)
{
	json_t *parent = prev(machine);

	return json_is_array(parent) && operand->number >= 0 &&
	       (unsigned long long)operand->number <= json_array_size(parent) &&
	       may_attach(machine, parent, top(machine)) &&
	       json_array_insert(parent, (size_t)operand->number, top(machine)) == 0;
}

OPERATION(append)
{
	json_t *parent = prev(machine);

	if (json_is_array(parent))
		return may_attach(machine, parent, top(machine)) &&
		       json_array_append(parent, top(machine)) == 0;
	return json_is_object(parent) && json_is_object(top(machine)) &&
	       may_attach_members(machine, parent, top(machine)) &&
	       json_object_update_missing(parent, top(machine)) == 0;
}

OPERATION(extend)
{
	json_t *parent = prev(machine);

	if (!parent || json_typeof(parent) != json_typeof(top(machine)) ||
	    !may_attach_members(machine, parent, top(machine)))
		return false;
	if (json_is_array(parent))
		return may_grow(machine, json_array_size(top(machine))) &&
		       json_array_extend(parent, top(machine)) == 0;
	return json_object_update(parent, top(machine)) == 0;
}

/* A negative number: how many go. What is no array is left as it is, and is no failure. */
OPERATION(truncate_array)
{
	json_t *array = top(machine);
	long long size = (long long)json_array_size(array);
	long long wanted = operand->number + (operand->number < 0 ? size : 0);

	wanted = wanted > 0 ? wanted : 0;
	while (size > wanted)
		(void)json_array_remove(array, (size_t)--size);
	return true;
}

OPERATION(empty)
{
	if (json_is_array(top(machine)))
		return json_array_clear(top(machine)) == 0;
	return json_object_clear(top(machine)) == 0;
}

OPERATION(push_length)
{
	const json_t *value = top(machine);
	size_t length = json_is_array(value)	? json_array_size(value)
			: json_is_object(value) ? json_object_size(value)
						: json_string_length(value);

	return (json_is_array(value) || json_is_object(value) || json_is_string(value)) &&
	       push(machine, json_integer((json_int_t)length));
}

/* --- Text in and out ------------------------------------------------------------------------------------------------------- */

OPERATION(load)
{
	size_t length = json_string_length(top(machine));
	SECRET_AUTO struct secret text = {0};

	return json_is_string(top(machine)) &&
	       secret_new(&text, JOSE_B64_SIZE(length), NULL) == 0 &&
	       jose_b64_decode(json_string_value(top(machine)), length, text.data) == 0 &&
	       push_new(machine,
			json_loadb((const char *)text.data, text.size, JSON_DECODE_ANY, NULL));
}

OPERATION(dump)
{
	json_t *value = top(machine);
	SECRET_AUTO struct secret text = {0};

	return (json_is_array(value) || json_is_object(value)) && is_small(value) &&
	       json_dump_secret(value, &text, NULL) == 0 &&
	       push(machine, jose_b64_json(text.data, text.size));
}

OPERATION(output)
{
	return top(machine) && is_small(top(machine)) &&
	       output_json(operand->text, top(machine), false, err) == 0;
}

OPERATION(unquote)
{
	const json_t *value = top(machine);
	struct output file;
	int rc;

	if (!json_is_string(value) || output_open(operand->text, false, &file, err) < 0)
		return false;
	rc = output_write(&file, json_string_value(value), json_string_length(value), err);
	if (rc == 0)
		rc = output_write(&file, "\n", 1, err);
	return output_close(&file, rc, err) == 0;
}

/* Writes a line of -f: `name` is NULL for an item of an array. */
static int write_item(struct output *file, const char *name, const json_t *value, struct error *err)
{
	int rc = 0;

	if (name)
		rc = output_write(file, name, strlen(name), err);
	if (rc == 0 && name)
		rc = output_write(file, "=", 1, err);
	if (rc == 0)
		rc = output_write_json(file, value, err);
	return rc < 0 ? rc : output_write(file, "\n", 1, err);
}

OPERATION(write_each)
{
	json_t *value = top(machine);
	struct output file;
	const char *name;
	json_t *member;
	size_t i;
	int rc = 0;

	if ((!json_is_array(value) && !json_is_object(value)) || !is_small(value) ||
	    output_open(operand->text, holds_private_key(value), &file, err) < 0)
		return false;
	json_array_foreach(value, i, member)
		rc = rc < 0 ? rc : write_item(&file, NULL, member, err);
	json_object_foreach(value, name, member)
		rc = rc < 0 ? rc : write_item(&file, name, member, err);
	return output_close(&file, rc, err) == 0;
}

static const struct operation operations[] = {
	{'O', TAKES_NOTHING, true, assert_object},
	{'A', TAKES_NOTHING, true, assert_array},
	{'S', TAKES_NOTHING, true, assert_string},
	{'I', TAKES_NOTHING, true, assert_integer},
	{'R', TAKES_NOTHING, true, assert_real},
	{'N', TAKES_NOTHING, true, assert_number},
	{'T', TAKES_NOTHING, true, assert_true},
	{'F', TAKES_NOTHING, true, assert_false},
	{'B', TAKES_NOTHING, true, assert_boolean},
	{'0', TAKES_NOTHING, true, assert_null},
	{'E', TAKES_NOTHING, true, assert_equal},
	{'Q', TAKES_NOTHING, false, query},
	{'M', TAKES_NUMBER, false, move},
	{'U', TAKES_NOTHING, false, unwind},
	{'j', TAKES_JSON, false, push_json},
	{'q', TAKES_STRING, false, push_json},
	{'c', TAKES_NOTHING, false, copy},
	{'o', TAKES_TEXT, false, output},
	{'f', TAKES_TEXT, false, write_each},
	{'u', TAKES_TEXT, false, unquote},
	{'t', TAKES_NUMBER, false, truncate_array},
	{'i', TAKES_NUMBER, false, insert},
	{'a', TAKES_NOTHING, false, append},
	{'x', TAKES_NOTHING, false, extend},
	{'d', TAKES_TEXT, false, delete},
	{'l', TAKES_NOTHING, false, push_length},
	{'e', TAKES_NOTHING, false, empty},
	{'g', TAKES_TEXT, false, get},
	{'s', TAKES_TEXT, false, set},
	{'y', TAKES_NOTHING, false, load},
	{'Y', TAKES_NOTHING, false, dump},
};

const struct operation *operation_of(int letter)
{
	for (size_t i = 0; i < sizeof(operations) / sizeof(*operations); i++)
		if (operations[i].letter == letter)
			return &operations[i];
	return NULL;
}
