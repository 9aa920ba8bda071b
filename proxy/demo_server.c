/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The Sealpost authors */

/*
 * The demo's two mail servers. The old one knows nothing of TLS; the other stands for the
 * Internet. They trust their peers, as such servers should not; but they keep their
 * promises: what is answered with 250 is whole in its file.
 */

#include "demo.h"
#include "privileges.h"
#include "smtp.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum {
	LINE = 2048, /* octets of a command with its line end */
	NAME = 24,   /* of a file */
	MAILBOX = 512,
	MESSAGE_MAX = 36700160, /* octets: the SIZE that we announce */
};

struct mail {
	char from[MAILBOX], to[MAILBOX]; /* empty: not told yet */
	char name[NAME];
	FILE *file; /* NULL: none is open */
	uint64_t octets;
};

/* How a server speaks: what a reply begins with, and what it says of itself. */
struct manner {
	const char *greeting, *hello, *keywords, *bye;
};

/* The words of Exchange 2003. */
static const struct manner old_manner = {
	.greeting = "220 exchange.example Microsoft ESMTP MAIL Service, Version: "
		    "6.0.3790.4675 ready",
	.hello = "exchange.example Hello [127.0.0.1]",
	.keywords = "250-SIZE 36700160\r\n"
		    "250-PIPELINING\r\n"
		    "250-8bitmime\r\n"
		    "250-CHUNKING\r\n"
		    "250 OK",
	.bye = "221 2.0.0 exchange.example Service closing transmission channel",
};

static const struct manner new_manner = {
	.greeting = "220 mx.internet.example ESMTP",
	.hello = "mx.internet.example",
	.keywords = "250-SIZE 36700160\r\n"
		    "250-PIPELINING\r\n"
		    "250-8BITMIME\r\n"
		    "250-CHUNKING\r\n"
		    "250 ENHANCEDSTATUSCODES",
	.bye = "221 2.0.0 mx.internet.example bye",
};

struct caller {
	const struct demo_server *server;
	const struct manner *manner;
	FILE *in, *out;
	struct demo_stream stream; /* after STARTTLS */
	bool secure;
	struct demo_view view;
	struct mail mail;
	bool ended; /* QUIT, or the connection */
};

/* ---- the wire ---- */

static void reply(struct caller *peer, const char *text)
{
	demo_show(&peer->view, '<', text, strlen(text));
	demo_show(&peer->view, '<', "\r\n", 2);
	/* A peer that no longer listens is noticed when it is next read from. */
	fprintf(peer->out, "%s\r\n", text);
	fflush(peer->out);
}

static int hear(struct caller *peer)
{
	int c = getc(peer->in);
	char octet = (char)c;

	if (c == EOF)
		peer->ended = true;
	else
		demo_show(&peer->view, '>', &octet, 1);
	return c;
}

/* ---- messages ---- */

static void mail_drop(struct caller *peer)
{
	struct mail *mail = &peer->mail;

	if (mail->file) {
		fclose(mail->file);
		unlinkat(peer->server->folder, mail->name, 0);
	}
	*mail = (struct mail){ .file = NULL };
}

static bool mail_open(struct caller *peer)
{
	struct mail *mail = &peer->mail;
	int fd = -1;

	for (unsigned n = 1; fd < 0; n++) {
		snprintf(mail->name, sizeof(mail->name), "%u.eml", n);
		fd = openat(peer->server->folder, mail->name,
			O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 && errno != EEXIST)
			return false;
	}
	mail->file = fdopen(fd, "w");
	if (mail->file)
		return true;
	close(fd);
	unlinkat(peer->server->folder, mail->name, 0);
	return false;
}

/* What is too long is counted, and not kept. */
static void mail_put(struct mail *mail, int octet)
{
	if (mail->octets++ < MESSAGE_MAX && mail->file)
		putc(octet, mail->file);
}

static void mail_told(const struct caller *peer)
{
	const struct mail *mail = &peer->mail;

	dprintf(STDOUT_FILENO, "received %s/%s: %" PRIu64 " octets, from %s to %s%s\n",
		peer->server->name, mail->name, mail->octets, mail->from, mail->to,
		peer->secure ? ", by TLS" : "");
}

static void mail_end(struct caller *peer)
{
	struct mail *mail = &peer->mail;
	char text[NAME + 64];

	if (mail->octets > MESSAGE_MAX) {
		reply(peer, "552 5.3.4 Message is too large");
	} else if (!mail->file || fflush(mail->file) != 0 || ferror(mail->file)) {
		reply(peer, "452 4.3.1 Cannot write the message");
	} else {
		fclose(mail->file);
		mail->file = NULL;
		if (!peer->view.to)
			mail_told(peer);
		snprintf(text, sizeof(text), "250 2.6.0 Queued as %s", mail->name);
		reply(peer, text);
	}
	mail_drop(peer);
}

/* Up to CRLF.CRLF; the dots of the stuffing go (RFC 5321 §4.5.2). */
static void read_data(struct caller *peer)
{
	enum { START, DOT, DOT_CR, TEXT, CR } at = START;

	for (int c; (c = hear(peer)) != EOF;) {
		if (at == DOT_CR && c == '\n') {
			mail_end(peer);
			return;
		}
		if (at == START && c == '.') {
			at = DOT;
			continue;
		}
		if (at == DOT && c == '\r') {
			at = DOT_CR;
			continue;
		}
		if (at == DOT_CR)
			mail_put(&peer->mail, '\r');
		mail_put(&peer->mail, c);
		at = c == '\r' ? CR : at == CR && c == '\n' ? START : TEXT;
	}
}

/* ---- commands ---- */

static void command_mailbox(struct caller *peer, struct span argument,
	char mailbox[MAILBOX], const char *fine)
{
	struct smtp_path path;
	struct span rest;

	if (!argument.at || argument.length > MAILBOX - 4 ||
		smtp_path(argument, false, &path, &rest) != SMTP_PATH_OK) {
		reply(peer, "501 5.5.4 Invalid Address");
		return;
	}
	snprintf(mailbox, MAILBOX, "<%.*s%s%.*s>", (int)path.local.length, path.local.at,
		path.domain.length > 0 ? "@" : "", (int)path.domain.length,
		path.domain.at);
	reply(peer, fine);
}

static void command_data(struct caller *peer)
{
	if (peer->mail.to[0] == '\0' || peer->mail.file) {
		reply(peer, "503 5.5.2 Need rcpt command");
	} else if (!mail_open(peer)) {
		reply(peer, "452 4.3.1 Cannot write the message");
	} else {
		reply(peer, "354 Start mail input; end with <CRLF>.<CRLF>");
		read_data(peer);
	}
}

static void command_bdat(struct caller *peer, struct span argument)
{
	uint64_t octets;
	bool last;

	if (!smtp_bdat(argument, &octets, &last)) {
		reply(peer, "501 5.5.4 Invalid arguments");
		peer->ended = true; /* how much would follow, nobody knows */
		return;
	}
	bool wanted = peer->mail.to[0] != '\0';

	if (wanted && !peer->mail.file)
		mail_open(peer);
	for (; octets > 0; octets--) {
		int c = hear(peer);

		if (c == EOF)
			return;
		mail_put(&peer->mail, c);
	}
	if (!wanted)
		reply(peer, "503 5.5.2 Need rcpt command");
	else if (last)
		mail_end(peer);
	else
		reply(peer, "250 2.6.0 CHUNK received OK");
}

static void command_mail(struct caller *peer, struct span argument)
{
	mail_drop(peer);
	command_mailbox(peer, argument, peer->mail.from, "250 2.1.0 Sender OK");
}

static void command_rcpt(struct caller *peer, struct span argument)
{
	if (peer->mail.from[0] == '\0')
		reply(peer, "503 5.5.2 Need mail command");
	else
		command_mailbox(peer, argument, peer->mail.to, "250 2.1.5 Recipient OK");
}

static void command_ehlo(struct caller *peer)
{
	bool offer = peer->server->tls && !peer->secure;
	char text[LINE];

	mail_drop(peer);
	snprintf(text, sizeof(text), "250-%s\r\n%s%s", peer->manner->hello,
		offer ? "250-STARTTLS\r\n" : "", peer->manner->keywords);
	reply(peer, text);
}

static void command_helo(struct caller *peer)
{
	char text[LINE];

	mail_drop(peer);
	snprintf(text, sizeof(text), "250 %s", peer->manner->hello);
	reply(peer, text);
}

static void command_starttls(struct caller *peer)
{
	char text[TLS_REASON];

	mail_drop(peer);
	reply(peer, "220 2.0.0 Go on");
	peer->secure = demo_stream_secure(
		&peer->stream, peer->server->tls, &peer->in, &peer->out);
	if (!peer->secure) {
		peer->ended = true;
		return;
	}
	peer->view.wire = tls_version(peer->stream.tls);
	snprintf(text, sizeof(text), "from here on %s\n", tls_cipher(peer->stream.tls));
	demo_show(&peer->view, '-', text, strlen(text));
}

static void obey(struct caller *peer, struct span line)
{
	struct smtp_command command;

	smtp_command(line, &command);
	switch (command.verb) {
	case SMTP_EHLO: command_ehlo(peer); break;
	case SMTP_HELO: command_helo(peer); break;
	case SMTP_MAIL: command_mail(peer, command.argument); break;
	case SMTP_RCPT: command_rcpt(peer, command.argument); break;
	case SMTP_DATA: command_data(peer); break;
	case SMTP_BDAT: command_bdat(peer, command.argument); break;
	case SMTP_NOOP: reply(peer, "250 2.0.0 OK"); break;
	case SMTP_RSET:
		mail_drop(peer);
		reply(peer, "250 2.0.0 Resetting");
		break;
	case SMTP_QUIT:
		reply(peer, peer->manner->bye);
		peer->ended = true;
		break;
	case SMTP_STARTTLS:
		if (peer->server->tls && !peer->secure) {
			command_starttls(peer);
			break;
		}
		/* fall through */
	default: reply(peer, "500 5.3.3 Unrecognized command"); break;
	}
}

/* A line that is too long is read to its end, and is no command. */
static void session(struct caller *peer)
{
	char line[LINE];
	size_t n = 0;

	reply(peer, peer->manner->greeting);
	while (!peer->ended) {
		int c = hear(peer);

		if (c != '\n') {
			if (n < sizeof(line))
				line[n++] = (char)c;
			continue;
		}
		bool whole = n < sizeof(line);

		if (whole && n > 0 && line[n - 1] == '\r')
			n--;
		if (whole)
			obey(peer, (struct span){ line, n });
		else
			reply(peer, "500 5.3.3 Line too long");
		n = 0;
	}
	mail_drop(peer);
}

/* ---- processes ---- */

static void session_on(const struct demo_server *server, int fd, int transcript)
{
	struct caller peer = {
		.server = server,
		.manner = server->tls ? &new_manner : &old_manner,
		.in = fdopen(fd, "r"),
		.out = fdopen(dup(fd), "w"),
		.view = { .wire = "clear" },
	};

	if (!peer.in || !peer.out)
		return;
	if (transcript >= 0)
		peer.view.to = fdopen(transcript, "w");
	session(&peer);
	if (peer.view.to)
		fclose(peer.view.to);
	fclose(peer.out);
	fclose(peer.in);
}

void demo_server_serve(const struct demo_server *server)
{
	pid_t parent = getpid();
	int transcript = server->transcript;

	signal(SIGCHLD, SIG_IGN); /* nobody waits for the sessions */
	signal(SIGPIPE, SIG_IGN);
	for (;;) {
		int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0)
			return;
		pid_t child = fork();

		if (child == 0) {
			privileges_end_with(parent);
			close(server->listener);
			session_on(server, fd, transcript);
			_exit(0);
		}
		close(fd);
		if (transcript >= 0)
			close(transcript);
		transcript = -1;
	}
}
