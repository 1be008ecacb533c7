"""Expect, and answers before the answer."""

from conformance.case import LAST, Case, Judge, Seen, alone, request
from conformance.judges import (
    answered,
    either,
    every,
    forwarded,
    lacks,
    noted,
    refused,
    refused_politely,
)
from conformance.upstream import OK, Line, Request, Script, Take, answering
from conformance.wire import Client

EXPECT = b"Expect: 100-continue"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
HEAD = alone(b"POST /t HTTP/1.1", EXPECT, b"Content-Length: 5")


def patient(client: Client, _take: Take) -> dict[str, object]:
    """Waits for leave before it sends its body."""
    client.send(HEAD)
    leave = client.answer()
    client.send(b"hello" + LAST)
    return {"leave": leave.status}


def unasked(client: Client, take: Take) -> dict[str, object]:
    """Sends its body when it is told to, or not at all."""
    client.send(HEAD)
    status = client.answer().status
    if status == 100:
        client.send(b"hello")
        status = client.answer().status
    return {"last": status, "text": f"{status}"}


def hints_in_time(client: Client, take: Take) -> dict[str, object]:
    """The hint has to come before the answer is ready."""
    client.send(alone())
    first = client.answer().status
    take.go_on()
    client.send(LAST)
    return {"first": first}


def wait_for_client(line: Line, _request: Request) -> None:
    """Sends a hint and waits until the client has it."""
    line.send(HINTS)
    line.take.wait(lambda take: take.may_go_on)


def interim(status: int) -> Judge:
    """The client sees this answer before the last one."""

    def judge(seen: Seen) -> str | None:
        found = [answer.status for answer in seen.interim]
        return None if status in found else f"interim answers: {found}"

    return judge


def no_interim(seen: Seen) -> str | None:
    """Who speaks HTTP/1.0 knows no interim answers."""
    return f"interim answers: {[a.status for a in seen.interim]}" if seen.interim else None


OKAY = answered(200, b"ok")
IN_10 = request(b"GET /t HTTP/1.0")
FROM = "RFC 9110 10.1.1"
ANY = "RFC 9110 15.2"

CASES = [
    Case(
        "continue",
        "A client that waits for `100 Continue` gets it",
        FROM,
        every(noted("leave", 100), forwarded(body=b"hello")),
        drive=patient,
    ),
    Case(
        "refused-early",
        "A refusal by the upstream, before the body was sent",
        FROM,
        noted("last", 401),
        drive=unasked,
        upstream=Script(
            (b"HTTP/1.1 401 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",),
            "close",
            is_early=True,
        ),
    ),
    Case(
        "at-once",
        "The body comes without waiting",
        FROM,
        forwarded(body=b"hello"),
        request(b"POST /t HTTP/1.1", EXPECT, b"Content-Length: 5", body=b"hello"),
    ),
    Case(
        "without-body",
        "An expectation without a body",
        FROM,
        forwarded(body=b""),
        request(b"GET /t HTTP/1.1", EXPECT),
    ),
    Case(
        "in-10",
        "In HTTP/1.0 it is ignored",
        FROM,
        every(no_interim, forwarded(body=b"hello", is_kept=False)),
        request(b"POST /t HTTP/1.0", EXPECT, b"Content-Length: 5", body=b"hello"),
    ),
    Case(
        "upper-case",
        "In upper case",
        FROM,
        forwarded(body=b"hello"),
        request(b"POST /t HTTP/1.1", b"Expect: 100-CONTINUE", b"Content-Length: 5", body=b"hello"),
    ),
    Case(
        "unknown",
        "Another expectation",
        FROM,
        either(refused_politely(417), forwarded(is_kept=False)),
        request(b"GET /t HTTP/1.1", b"Expect: a-cake"),
    ),
    Case(
        "early-hints",
        "103 is relayed",
        ANY,
        every(interim(103), OKAY),
        request(),
        answering(HINTS + OK),
    ),
    Case(
        "early-hints-in-time",
        "103 is relayed before the answer comes",
        ANY,
        every(noted("first", 103), OKAY),
        drive=hints_in_time,
        upstream=Script(act=wait_for_client),
    ),
    Case(
        "early-hints-twice",
        "Two of 103 are relayed",
        ANY,
        every(interim(103), OKAY),
        request(),
        answering(HINTS + HINTS + OK),
    ),
    Case(
        "early-hints-in-10",
        "103 is not for HTTP/1.0",
        ANY,
        every(no_interim, OKAY),
        IN_10,
        answering(HINTS + OK),
    ),
    Case(
        "processing",
        "102 does not disturb the answer",
        ANY,
        OKAY,
        request(),
        answering(b"HTTP/1.1 102 Processing\r\n\r\n" + OK),
    ),
    Case(
        "unknown-interim",
        "An interim answer that nobody knows",
        ANY,
        OKAY,
        request(),
        answering(b"HTTP/1.1 199 Hm\r\n\r\n" + OK),
    ),
    Case(
        "continue-unasked",
        "100 that nobody asked for",
        ANY,
        OKAY,
        request(),
        answering(b"HTTP/1.1 100 Continue\r\n\r\n" + OK),
    ),
    Case(
        "interim-in-two-pieces",
        "An interim answer and the answer in pieces",
        ANY,
        OKAY,
        request(),
        answering(
            b"HTTP/1.1 103 Early",
            b" Hints\r\n\r\nHTTP/1.1 200 OK\r\n",
            b"Content-Length: 2\r\n\r\nok",
        ),
    ),
    Case(
        "expect-not-passed",
        "What is answered here is not asked of the upstream",
        FROM,
        forwarded(lacks("expect"), body=b"hello"),
        request(b"POST /t HTTP/1.1", EXPECT, b"Content-Length: 5", body=b"hello"),
        must=False,
        only=("cyan", "nginx"),
    ),
    Case(
        "twice",
        "Two expectations",
        FROM,
        either(forwarded(), refused(400), refused_politely(417)),
        request(b"POST /t HTTP/1.1", EXPECT, EXPECT, b"Content-Length: 0"),
    ),
]
