/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "message_again.h"

#include "message.h"

static size_t settings_again(const uint8_t *at, size_t length, uint8_t *to, size_t size)
{
	struct settings settings;
	if (!message_read_settings(at, length, &settings))
		return 0;
	return message_write_settings(to, size, &settings);
}

static size_t question_again(const uint8_t *at, size_t length, uint8_t *to, size_t size)
{
	struct question question;
	if (!message_read_question(at, length, &question))
		return 0;
	return message_write_question(to, size, &question);
}

static size_t answer_again(const uint8_t *at, size_t length, uint8_t *to, size_t size)
{
	uint32_t id;
	struct peer *peer = message_read_answer(at, length, &id);
	size_t written = peer ? message_write_answer(to, size, id, peer) : 0;
	peer_free(peer);
	return written;
}

static size_t state_again(const uint8_t *at, size_t length, uint8_t *to, size_t size)
{
	struct policy_state state;
	if (!message_read_state(at, length, &state))
		return 0;
	return message_write_state(to, size, &state);
}

static size_t log_again(const uint8_t *at, size_t length, uint8_t *to, size_t size)
{
	struct message_log log;
	if (!message_read_log(at, length, &log))
		return 0;
	return message_write_log(to, size, &log);
}

static size_t reader_again(const uint8_t *at, size_t length, uint8_t *to, size_t size)
{
	uint32_t worker;
	if (!message_read_reader(at, length, &worker))
		return 0;
	return message_write_reader(to, size, worker);
}

size_t message_again(const uint8_t *at, size_t length, uint8_t *to, size_t size)
{
	enum message_type type = message_type(at, length);
	switch (type) {
	case MESSAGE_SETTINGS: return settings_again(at, length, to, size);
	case MESSAGE_QUESTION: return question_again(at, length, to, size);
	case MESSAGE_ANSWER: return answer_again(at, length, to, size);
	case MESSAGE_STATE: return state_again(at, length, to, size);
	case MESSAGE_LOG: return log_again(at, length, to, size);
	case MESSAGE_READER: return reader_again(at, length, to, size);
	case MESSAGE_RELOAD:
	case MESSAGE_FILES:
	case MESSAGE_PONG:
	case MESSAGE_PING: return message_write_plain(to, size, type);
	default: return 0;
	}
}
