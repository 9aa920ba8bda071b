/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */
#include "domain.h"

#include <idn2.h>
#include <string.h>

static bool is_ascii(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text > 126)
			return false;
	return true;
}

static void lower(char *text)
{
	for (; *text != '\0'; text++)
		if (*text >= 'A' && *text <= 'Z')
			*text += 'a' - 'A';
}

/* Labels alone: what was mapped to ASCII has been through no one's syntax. */
static bool is_name(const char *text)
{
	size_t label = 0;
	for (; *text != '\0'; text++) {
		bool letter = (*text >= 'a' && *text <= 'z') ||
			      (*text >= 'A' && *text <= 'Z') ||
			      (*text >= '0' && *text <= '9') || *text == '-' ||
			      *text == '_';
		if (!letter && (*text != '.' || label == 0))
			return false;
		label = letter ? label + 1 : 0;
	}
	return label > 0;
}

static void cut_last_dot(char *text)
{
	size_t length = strlen(text);
	if (length > 0 && text[length - 1] == '.')
		text[length - 1] = '\0';
}

/* Dots of other scripts become dots, too: the last one may come of it only here. */
static bool to_ascii(char text[DOMAIN_TEXT])
{
	char *ascii = NULL;
	if (idn2_to_ascii_8z(text, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) !=
		IDN2_OK)
		return false;
	cut_last_dot(ascii);
	bool fits = strlen(ascii) < DOMAIN_TEXT && is_name(ascii);
	if (fits)
		strcpy(text, ascii);
	idn2_free(ascii);
	return fits;
}

bool domain_normalise(struct span domain, char text[DOMAIN_TEXT])
{
	size_t length = domain.length;
	if (length > 0 && domain.at[length - 1] == '.')
		length--;
	if (length >= DOMAIN_TEXT || (length == 0 && domain.length > 0) ||
		(length > 0 && memchr(domain.at, '\0', length)))
		return false;
	memcpy(text, domain.at, length);
	text[length] = '\0';
	if (!is_ascii(text) && !to_ascii(text))
		return false;
	lower(text);
	return true;
}
